import boto3

keys = boto3.Session().get_credentials().get_frozen_credentials()
print(keys.access_key, keys.secret_key, keys.token)
