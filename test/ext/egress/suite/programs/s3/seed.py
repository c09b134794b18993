"""Makes a user, its keys and a bucket in moto, which asks everybody for a signature from then on. Prints the keys.

With the name of a client: prints the SHA-256 of each object that the client stored, by its name.
"""

import hashlib
import json
import sys

import boto3
import urllib3

urllib3.disable_warnings()
url, access, secret, *names = sys.argv[1:]


def client(service):
    keys = {"aws_access_key_id": access, "aws_secret_access_key": secret}
    return boto3.client(service, endpoint_url=url, verify=False, region_name="us-east-1", **keys)


if not names:
    iam = client("iam")
    iam.create_user(UserName="ada")
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="ada", PolicyName="all", PolicyDocument=policy)
    client("s3").create_bucket(Bucket="uploads")
    key = iam.create_access_key(UserName="ada")["AccessKey"]
    print(json.dumps({"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}))
else:
    s3 = client("s3")
    digests = {}
    for each in s3.list_objects_v2(Bucket="uploads", Prefix=f"{names[0]}/").get("Contents", []):
        body = s3.get_object(Bucket="uploads", Key=each["Key"])["Body"].read()
        digests[each["Key"].split("/")[1]] = hashlib.sha256(body).hexdigest()
    print(json.dumps(digests))
