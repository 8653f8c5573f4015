"""What people call beside the DAG: `python -m pipeline COMMAND`."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

COMMANDS = ("check", "show", "compare", "keep", "score", "campaign", "forget", "download", "schema")
HERE = Path(__file__).parent / "commands"


def main() -> None:
    """Run the command that is named, or list the commands."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in COMMANDS:
        del sys.argv[1]
        runpy.run_module(f"pipeline.commands.{name}", run_name="__main__", alter_sys=True)
        return
    known = name in {"-h", "--help"}
    print(listing() if known else f"error: {name!r} is no command\n\n{listing()}")
    sys.exit(0 if known else 2)


def listing() -> str:
    """The commands, each with the first line of its docstring."""
    lines = ["python -m pipeline COMMAND, and --help after it for its options", ""]
    return "\n".join(lines + [f"  {name:<10}{_summary(name)}" for name in COMMANDS])


def _summary(name: str) -> str:
    file = HERE / name / "__main__.py" if (HERE / name).is_dir() else HERE / f"{name}.py"
    return str(ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))).splitlines()[0]


if __name__ == "__main__":
    main()
