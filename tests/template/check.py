"""What no linter asks of the deployed system, asked of the expanded template.

Each rule yields a sentence for everything that breaks it; `test_check.py` breaks each on purpose. The rules
about alarms, dashboard, runbook and parameters are in `operations.py`.

usage: check.py EXPANDED ROOT
       EXPANDED: the folder with the expanded templates; ROOT: the project's
"""

import json
import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import operations
import yaml
from samcli.yamlhelper import yaml_parse

# One is singular, more are plural; AWS refuses all else, and only on deployment.
RATE = re.compile(r"rate\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\)")

# AWS asks for it, so that a batch is not received again while its function still works on it.
VISIBILITY_PER_TIMEOUT_MIN = 6

# All that an access log may hold. A path holds the token of an answer link, a query may hold one.
ACCESS_LOG_FIELDS = {
    "$context.requestId", "$context.routeKey", "$context.status", "$context.responseLength",
    "$context.responseLatency", "$context.integrationStatus", "$context.integrationLatency",
}  # fmt: skip

# What runs in functions: whoever emits a metric or logs a line is there.
FUNCTIONS = ("functions", "shared/src")
# The parts of a statement that name something.
POLICY_PARTS = ("Action", "Resource", "Principal")

# Where AWS takes nothing but `*`: in which type of resource, which part, what. Each that the
# template has must say so in a comment.
REQUIRED_BY_AWS = {("AWS::KMS::Key", "Resource", "*")}

METHODS = {"get", "head", "post", "put", "patch", "delete"}

# Where `cargo lambda watch` finds its routes.
MANIFEST = Path(__file__).resolve().parents[2] / "Cargo.toml"


class Project(NamedTuple):
    """What the rules are about."""

    # The templates as people wrote them, by path.
    texts: dict
    # template.yaml as it is written, and as CloudFormation sees it; then what is in infra/.
    source: dict
    system: dict
    alarms: dict
    dashboard: dict
    # The OpenAPI document, and texts.
    contract: dict
    readme: str
    runbook: str
    # All that runs in functions.
    functions: str


def of_type(template, kind):
    for name, resource in template["Resources"].items():
        if resource["Type"] == kind:
            yield name, resource.get("Properties", {}), resource


def target(value):
    """The logical id that a Ref or a GetAtt names, or None."""
    if isinstance(value, dict):
        if "Ref" in value:
            return value["Ref"]
        if "Fn::GetAtt" in value:
            return value["Fn::GetAtt"][0]
    return None


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def statements(value):
    """Every policy statement below `value`, those behind an Fn::If included."""
    if isinstance(value, dict):
        if "Effect" in value:
            yield value
        for inner in value.values():
            yield from statements(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from statements(inner)


def has_null(value):
    if isinstance(value, dict):
        return any(map(has_null, value.values()))
    return any(map(has_null, value)) if isinstance(value, list) else value is None


def schedules_are_ones_that_aws_accepts(template):
    for name, properties, _ in of_type(template, "AWS::Scheduler::Schedule"):
        expression = properties["ScheduleExpression"]
        if not RATE.fullmatch(expression):
            yield f"{name}: {expression} is no schedule"
        if "Name" in properties:
            yield f"{name}: a fixed name collides with that of another stack"


def queues_outlast_their_functions(template):
    resources = template["Resources"]
    for name, properties, _ in of_type(template, "AWS::Lambda::EventSourceMapping"):
        queue = resources[target(properties["EventSourceArn"])]["Properties"]
        timeout = resources[target(properties["FunctionName"])]["Properties"]["Timeout"]
        # 30 s is what SQS takes when nothing is said.
        if queue.get("VisibilityTimeout", 30) < VISIBILITY_PER_TIMEOUT_MIN * timeout:
            yield f"{name}: the queue shows a hint again while its function may still run"
        if properties.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield f"{name}: one bad hint fails its whole batch"
        if target(queue.get("RedrivePolicy", {}).get("deadLetterTargetArn")) not in resources:
            yield f"{name}: a hint that always fails comes back for ever"


def lanes_and_calls_have_limits(template):
    for name, properties, _ in of_type(template, "AWS::Lambda::EventSourceMapping"):
        lane = target(properties.get("ScalingConfig", {}).get("MaximumConcurrency"))
        if template["Parameters"].get(lane, {}).get("MaxValue", 0) not in range(2, 1001):
            yield f"{name}: its queue may take all copies that the account has"
    for name, properties, _ in of_type(template, "AWS::ApiGatewayV2::Stage"):
        limits = properties.get("DefaultRouteSettings", {})
        if not limits.get("ThrottlingRateLimit") or not limits.get("ThrottlingBurstLimit"):
            yield f"{name}: takes as many calls as there are"


def nothing_is_null(template):
    """CloudFormation refuses it, and SAM and cfn-lint do not: a `- # comment` on its own makes one."""
    for name, resource in template["Resources"].items():
        if has_null(resource):
            yield f"{name}: something in it is null"


def policies_name_what_they_are_for(template):
    """Policies of all kinds: of roles, of who takes them on, of keys, queues, topics and buses."""
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if properties.get("ManagedPolicyArns"):
            yield f"{name}: a managed policy reaches further than this stack"
        for statement in statements(properties):
            for part in sorted(statement.keys() & {"NotAction", "NotResource", "NotPrincipal"}):
                yield f"{name}: {part} names all but a few"
            for part in POLICY_PARTS:
                for text in strings(statement.get(part, [])):
                    if "*" in text and (resource["Type"], part, text) not in REQUIRED_BY_AWS:
                        yield f"{name}: {text} names more than one thing"
        for statement in statements(properties.get("AssumeRolePolicyDocument", [])):
            if not isinstance(statement["Principal"], dict) or set(statement["Principal"]) != {"Service"}:
                yield f"{name}: more than a service may take it on"


def functions_are_invoked_by_what_is_named(template):
    for name, properties, _ in of_type(template, "AWS::Lambda::Permission"):
        if properties["Action"] != "lambda:InvokeFunction" or "*" in properties["Principal"]:
            yield f"{name}: it allows more than one service to invoke"
        source = properties.get("SourceArn", "*")
        if target(source) is None and not any("${" in text for text in strings(source)):
            yield f"{name}: what is anybody's may invoke it"


def functions_share_no_role_and_no_log(template):
    seen = set()
    for name, properties, _ in of_type(template, "AWS::Lambda::Function"):
        role = target(properties["Role"])
        group = target(properties.get("LoggingConfig", {}).get("LogGroup"))
        if template["Resources"].get(group, {}).get("Type") != "AWS::Logs::LogGroup":
            yield f"{name}: its log group is made by Lambda, and kept for ever"
        for used in (role, group):
            if used in seen:
                yield f"{name}: {used} is another function's too"
            seen.add(used)


def logs_are_kept_for_a_time(template):
    for name, properties, _ in of_type(template, "AWS::Logs::LogGroup"):
        if "RetentionInDays" not in properties:
            yield f"{name}: kept for ever"


def access_logs_name_the_route_and_no_path(template):
    for name, properties, _ in of_type(template, "AWS::ApiGatewayV2::Stage"):
        settings = properties.get("AccessLogSettings")
        if not settings:
            yield f"{name}: no access log"
            continue
        fields = set(json.loads(settings["Format"]).values())
        for field in sorted(fields - ACCESS_LOG_FIELDS):
            yield f"{name}: {field} may hold what opens an answer"
        if "$context.routeKey" not in fields:
            yield f"{name}: the access log does not say which route"


def tables_are_kept_encrypted_and_swept(template):
    for name, properties, resource in of_type(template, "AWS::DynamoDB::Table"):
        if not properties.get("TimeToLiveSpecification", {}).get("Enabled"):
            yield f"{name}: nothing deletes what has had its time"
        recovery = properties.get("PointInTimeRecoverySpecification", {})
        if not recovery.get("PointInTimeRecoveryEnabled"):
            yield f"{name}: no way back to an earlier point in time"
        if not properties.get("SSESpecification", {}).get("SSEEnabled"):
            yield f"{name}: encryption is not asked for"
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            if resource.get(policy) != "Retain":
                yield f"{name}: {policy} lets the data go"
        for index in properties.get("GlobalSecondaryIndexes", []):
            if index["Projection"] != {"ProjectionType": "KEYS_ONLY"}:
                yield f"{name}: index {index['IndexName']} pays for more than keys"


def queues_are_encrypted(template):
    for name, properties, _ in of_type(template, "AWS::SQS::Queue"):
        if not properties.get("SqsManagedSseEnabled"):
            yield f"{name}: encryption is not asked for"


def routes_of(paths):
    """Every `GET /path` of a document's `paths`; what stands beside the methods is none."""
    return {
        f"{method.upper()} {path}"
        for path, operations in paths.items()
        for method in operations
        if method in METHODS
    }


def routes_are_those_of_the_contract(template, contract):
    promised = routes_of(contract["paths"])
    for name, properties, _ in of_type(template, "AWS::ApiGatewayV2::Api"):
        deployed = routes_of(properties["Body"]["paths"])
        for route in sorted(promised - deployed):
            yield f"{name}: {route} is promised, and no route leads to it"
        for route in sorted(deployed - promised):
            yield f"{name}: {route} is deployed, and no document tells of it"


def watching(router, method, path):
    """The function that `cargo lambda watch` calls: that of the path, or else of the method."""
    functions = router.get(path, router["/{*path}"])
    if isinstance(functions, str):
        return functions
    return next((it["function"] for it in functions if it["method"] == method), None)


def cargo_lambda_watch_has_the_same_routes(template):
    manifest = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))
    router = manifest["workspace"]["metadata"]["lambda"]["watch"]["router"]
    for name, properties, _ in of_type(template, "AWS::ApiGatewayV2::Api"):
        paths = properties["Body"]["paths"]
        for method, path in sorted(it.split(" ") for it in routes_of(paths)):
            integration = paths[path][method.lower()].get("x-amazon-apigateway-integration", {})
            deployed = re.findall(r"\$\{(\w+)Function\.Arn\}", " ".join(strings(integration)))
            function = watching(router, method, path)
            if deployed != [str(function).capitalize()]:
                yield f"{name}: {method} {path} is deployed as {deployed}, and watched as {function}"


RULES = [
    cargo_lambda_watch_has_the_same_routes,
    schedules_are_ones_that_aws_accepts,
    queues_outlast_their_functions,
    lanes_and_calls_have_limits,
    nothing_is_null,
    policies_name_what_they_are_for,
    functions_are_invoked_by_what_is_named,
    functions_share_no_role_and_no_log,
    logs_are_kept_for_a_time,
    access_logs_name_the_route_and_no_path,
    tables_are_kept_encrypted_and_swept,
    queues_are_encrypted,
]


@cache
def wildcards_say_why(source):
    """Of the template as people wrote it: a comment stands behind each `*`, or on the line before."""
    lines = source.splitlines()
    silent = []
    for node in wildcards(yaml.compose(source, Loader=yaml.CSafeLoader)):
        line = node.end_mark.line
        behind, before = lines[line][node.end_mark.column :], lines[line - 1].strip()
        if "#" not in behind and not before.startswith("#"):
            silent.append(f"line {line + 1}: {node.value} without a comment that says why AWS requires it")
    return silent


def wildcards(node, named=False):
    """Every text with a `*` in a part of a statement that names something."""
    if isinstance(node, yaml.MappingNode):
        is_statement = any(key.value == "Effect" for key, _ in node.value)
        for key, value in node.value:
            yield from wildcards(value, named or (is_statement and key.value in POLICY_PARTS))
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from wildcards(value, named)
    elif named and "*" in node.value:
        yield node


def problems(project):
    found = [problem for rule in RULES for problem in rule(project.system)]
    found += [problem for rule in operations.RULES for problem in rule(project)]
    found += [f"{path}, {problem}" for path, text in project.texts.items() for problem in wildcards_say_why(text)]
    return found + list(routes_are_those_of_the_contract(project.system, project.contract))


def load(expanded, root):
    """The project whose expanded templates are in one folder, and all else in the other."""
    expanded, root = Path(expanded), Path(root)
    parts = {it: json.loads((expanded / f"{it}.json").read_text()) for it in ("template", "alarms", "dashboard")}
    texts = {it: (root / it).read_text() for it in ("template.yaml", "infra/alarms.yaml", "infra/dashboard.yaml")}
    return Project(
        texts=texts,
        source=yaml_parse(texts["template.yaml"]),
        system=parts["template"],
        alarms=parts["alarms"],
        dashboard=parts["dashboard"],
        contract=json.loads((root / "shared/openapi/openapi.json").read_text()),
        readme=(root / "README.md").read_text(),
        runbook=(root / "infra/RUNBOOK.md").read_text(),
        functions="".join(it.read_text() for part in FUNCTIONS for it in sorted((root / part).rglob("*.rs"))),
    )


if __name__ == "__main__":
    faults = problems(load(sys.argv[1], sys.argv[2]))
    n_rules = len(RULES) + len(operations.RULES) + 2
    print("\n".join(faults) if faults else f"template: {n_rules} rules hold")
    sys.exit(1 if faults else 0)
