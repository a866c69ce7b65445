"""What no linter asks of the deployed system, asked of the expanded template.

Each rule yields a sentence for everything that breaks it; `test_check.py` breaks each on purpose.

usage: check.py EXPANDED OPENAPI
"""

import json
import pathlib
import re
import sys
import tomllib

# One is singular, more are plural; AWS refuses all else, and only on deployment.
RATE = re.compile(r"rate\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\)")

# AWS asks for it, so that a batch is not received again while its function still works on it.
VISIBILITY_PER_TIMEOUT_MIN = 6

# All that an access log may hold. A path holds the token of an answer link, a query may hold one.
ACCESS_LOG_FIELDS = {
    "$context.requestId", "$context.routeKey", "$context.status", "$context.responseLength",
    "$context.responseLatency", "$context.integrationStatus", "$context.integrationLatency",
}  # fmt: skip

METHODS = {"get", "head", "post", "put", "patch", "delete"}

# Where `cargo lambda watch` finds its routes.
MANIFEST = pathlib.Path(__file__).resolve().parents[2] / "Cargo.toml"


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


def rights_name_what_they_are_for(template):
    for name, properties, _ in of_type(template, "AWS::IAM::Role"):
        if properties.get("ManagedPolicyArns"):
            yield f"{name}: a managed policy reaches further than this stack"
        for statement in statements(properties.get("Policies", [])):
            for text in strings([statement["Action"], statement["Resource"]]):
                if "*" in text:
                    yield f"{name}: {text} names more than one thing"


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


def watched(router, method, path):
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
            function = watched(router, method, path)
            if deployed != [str(function).capitalize()]:
                yield f"{name}: {method} {path} is deployed as {deployed}, and watched as {function}"


RULES = [
    cargo_lambda_watch_has_the_same_routes,
    schedules_are_ones_that_aws_accepts,
    queues_outlast_their_functions,
    rights_name_what_they_are_for,
    functions_share_no_role_and_no_log,
    logs_are_kept_for_a_time,
    access_logs_name_the_route_and_no_path,
    tables_are_kept_encrypted_and_swept,
    queues_are_encrypted,
]


def problems(template, contract):
    found = [problem for rule in RULES for problem in rule(template)]
    return found + list(routes_are_those_of_the_contract(template, contract))


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


if __name__ == "__main__":
    faults = problems(load(sys.argv[1]), load(sys.argv[2]))
    print("\n".join(faults) if faults else f"template: {len(RULES) + 1} rules hold")
    sys.exit(1 if faults else 0)
