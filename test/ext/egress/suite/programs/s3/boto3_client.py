import hashlib
import sys

import boto3

url, name, small, large = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=url)
for key, file in (("small", small), ("whole", large)):
    with open(file, "rb") as body:
        s3.put_object(Bucket="uploads", Key=f"{name}/{key}", Body=body)
s3.upload_file(large, "uploads", f"{name}/parts")
print(hashlib.sha256(s3.get_object(Bucket="uploads", Key=f"{name}/whole")["Body"].read()).hexdigest())
