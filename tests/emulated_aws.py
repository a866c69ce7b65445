"""Calls the emulated AWS of a local stack, with signatures (AWS Signature Version 4).

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import datetime
import hashlib
import hmac
import http.client
import json
import urllib.request

REGION = "us-east-1"


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def keyed(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signed(host, body, target, access_key_id, secret):
    """The headers of a call that posts `body` to `/`."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"content-type": "application/x-amz-json-1.0", "host": host, "x-amz-date": now, "x-amz-target": target}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"POST\n/\n\n{lines}\n{names}\n{sha256(body)}"
    scope = [now[:8], REGION, target.split(".")[0].lower(), "aws4_request"]
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = keyed(key, part)
    signature = keyed(key, f"AWS4-HMAC-SHA256\n{now}\n{'/'.join(scope)}\n{sha256(canonical)}").hex()
    credential = "/".join([access_key_id, *scope])
    authorization = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "authorization": authorization}


def call(ready, target, **body):
    """The response of an operation, such as `AmazonSQS.CreateQueue`. `ready` is what `dev --json` prints."""
    host = ready["aws_endpoint"].split("//")[1]
    text = json.dumps(body)
    headers = signed(host, text, target, ready["aws_access_key_id"], ready["aws_secret_access_key"])
    connection = http.client.HTTPConnection(host)
    connection.request("POST", "/", text, headers)
    answer = connection.getresponse()
    response = json.loads(answer.read())
    assert answer.status == http.HTTPStatus.OK, (target, answer.status, response)
    return response


def send_no_messages(ready):
    """Deletes the notifiers of the local stack's account, so that asking its recipients sends nothing. Messages are
    neither measured nor expected by those who call this."""

    def api(method, path):
        headers = {"authorization": f"Bearer {ready['api_key']}"}
        url = ready["base_url"].rstrip("/") + path
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers, method=method)) as response:
            return response.read()

    for notifier in json.loads(api("GET", "/v1/notifiers"))["data"]:
        api("DELETE", f"/v1/notifiers/{notifier['id']}")
