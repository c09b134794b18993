# The AWS command line, which is $AWS.
set -eu
put() { "$AWS" s3api put-object --endpoint-url "$1" --bucket uploads --key "$2" --body "$3" >/dev/null; }
put "$1" "$2/small" "$3"
put "$1" "$2/whole" "$4"
"$AWS" s3 cp --only-show-errors --endpoint-url "$1" "$4" "s3://uploads/$2/parts"
"$AWS" s3 cp --only-show-errors --endpoint-url "$1" "s3://uploads/$2/whole" - | sha256sum
