"""Prints template.yaml as CloudFormation will see it: SAM's own transform, without AWS or a network.

`cfn-lint` finds more in this form than in the short one (a queue's visibility against the function's
time-out, a misspelt `ReportBatchItemFailures`), and `check.py` reads it.

usage: expand.py TEMPLATE > EXPANDED
"""

import json
import sys

from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform


# Where `sam package` would have put the files of nested stacks, as CloudFormation wants to have it.
UPLOADS = "https://example.s3.us-east-1.amazonaws.com/"


class NoManagedPolicies:
    """Names of AWS's managed policies come from IAM. We use none, so none are known."""

    def load(self):
        return {}


def expand(path):
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    for resource in template["Resources"].values():
        # `sam package` would have put uploads' addresses here.
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://example/code.zip"
        elif resource["Type"] == "AWS::CloudFormation::Stack":
            resource["Properties"]["TemplateURL"] = f"{UPLOADS}{resource['Properties']['TemplateURL']}"
    return transform(template, {}, NoManagedPolicies())


if __name__ == "__main__":
    json.dump(expand(sys.argv[1]), sys.stdout, indent=1)
