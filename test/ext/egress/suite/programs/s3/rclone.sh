# rclone, which is $RCLONE. What comes through a pipe has no length that is known before.
set -eu
export RCLONE_CONFIG_API_TYPE=s3 RCLONE_CONFIG_API_PROVIDER=Other RCLONE_CONFIG_API_ENV_AUTH=true \
  RCLONE_CONFIG_API_ENDPOINT="$1" RCLONE_CONFIG_API_FORCE_PATH_STYLE=true RCLONE_CONFIG=/dev/null
"$RCLONE" copyto --s3-no-check-bucket "$3" "api:uploads/$2/small"
"$RCLONE" copyto --s3-no-check-bucket --s3-upload-cutoff 1G "$4" "api:uploads/$2/whole"
"$RCLONE" rcat --s3-no-check-bucket --s3-chunk-size 8M "api:uploads/$2/parts" <"$4"
"$RCLONE" cat "api:uploads/$2/whole" | sha256sum
