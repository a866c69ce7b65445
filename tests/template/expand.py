"""Prints a SAM template as CloudFormation sees it: SAM's own transform, without AWS or a network.

`cfn-lint` finds more in the expanded form (a queue's visibility against the function's time-out, a misspelled
`ReportBatchItemFailures`), and `check.py` reads it.

usage: expand.py TEMPLATE > EXPANDED
"""

import json
import sys

from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform


# The form in which `sam package` writes the URLs of nested stacks, as CloudFormation requires.
UPLOADS = "https://example.s3.us-east-1.amazonaws.com/"


class NoManagedPolicies:
    """Names of AWS managed policies come from IAM. We use none."""

    def load(self):
        return {}


def expand(path):
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    for resource in template["Resources"].values():
        # `sam package` would write the URLs of uploads here.
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://example/code.zip"
        elif resource["Type"] == "AWS::CloudFormation::Stack":
            resource["Properties"]["TemplateURL"] = f"{UPLOADS}{resource['Properties']['TemplateURL']}"
    return transform(template, {}, NoManagedPolicies())


if __name__ == "__main__":
    json.dump(expand(sys.argv[1]), sys.stdout, indent=1)
