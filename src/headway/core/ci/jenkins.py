"""A declarative Jenkinsfile. Source: Jenkins Handbook, "Pipeline Syntax".

Secrets are Jenkins credentials of the kind "secret text", each given to its own stage only.
"""

from headway.core.ci.line import PACKAGE, TO_SET, WORK, Facts, Stage, stages

_COMMIT = '"$GIT_COMMIT"'
_HEAD = """\
// Written by `headway init --ci jenkins`: the line of {app}, each step a stage of its own.
// {to_set} below: what pip installs headway from, and the variables that headway.toml reads.
// Credentials (kind: secret text): {credentials}.
pipeline {{
  agent any
  options {{
    disableConcurrentBuilds()
    timeout(time: 6, unit: 'HOURS')
  }}
  environment {{
    PATH = "${{env.WORKSPACE}}/build/headway-venv/bin:${{env.PATH}}"
    {package} = '{to_set}'
{variables}  }}
  stages {{
    stage('Set up') {{
      steps {{
        sh 'rm -rf {work}'
        sh 'python3 -m venv build/headway-venv'
        sh 'build/headway-venv/bin/python -m pip install --quiet "${package}"'
      }}
    }}
"""


def render(facts: Facts) -> str:
    """The file."""
    known = stages(facts)
    names = dict.fromkeys(name for stage in known for name in stage.secrets)
    variables = "".join(f"    {name} = '{TO_SET}'\n" for name in facts.variables)
    head = _HEAD.format(
        app=facts.app,
        to_set=TO_SET,
        credentials=", ".join(credential(name) for name in names),
        package=PACKAGE,
        variables=variables,
        work=WORK,
    )
    return head + "".join(_stage(stage, facts) for stage in known) + "  }\n}\n"


def credential(variable: str) -> str:
    """The id of the credential that a variable's value is kept as."""
    return variable.lower().replace("_", "-")


def _stage(stage: Stage, facts: Facts) -> str:
    lines = [f"    stage('{_quoted(stage.title)}') {{"]
    if not stage.every_branch:
        lines += ["      when {", "        beforeInput true", f"        branch '{_quoted(facts.branch)}'", "      }"]
    if stage.approval:
        lines += [
            "      input {",
            f"        message 'Apply the plan above to {_quoted(stage.approval)}?'",
            "        ok 'Apply'",
            "      }",
        ]
    if stage.secrets:
        lines.append("      environment {")
        lines += [f"        {name} = credentials('{credential(name)}')" for name in stage.secrets]
        lines.append("      }")
    lines.append("      steps {")
    lines += [f"        sh '{_quoted(command.format(commit=_COMMIT))}'" for command in stage.commands]
    lines.append("      }")
    if stage.id == "test" and facts.junit:
        found = ", ".join(facts.junit)
        lines += [
            "      post {",
            "        always {",
            f"          junit allowEmptyResults: true, testResults: '{_quoted(found)}'",
            "        }",
            "      }",
        ]
    lines.append("    }")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Within single quotes of Groovy, where a dollar means nothing."""
    return text.replace("\\", "\\\\").replace("'", "\\'")
