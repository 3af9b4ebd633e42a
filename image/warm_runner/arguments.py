"""Has the parsers of both command lines made before a run needs them.

ansible-runner's main function builds a parser of some four hundred options, ansible-playbook one of
fifty, and argparse looks at each. They depend on nothing of the run. So the parent has them built
once; what ansible-runner then adds to its parser is in there already.
"""

from __future__ import annotations

import importlib
from typing import Any


class _BuiltError(Exception):
    """Carries the parser out of main, at the moment when it would parse."""

    def __init__(self, parser: Any) -> None:
        super().__init__()
        self.parser = parser


class _Built:
    """Is the parser that was built; what is added is in there already."""

    def __init__(self, parser: Any) -> None:
        self._parser = parser

    def __getattr__(self, name: str) -> Any:
        return self._add if name.startswith("add_") else getattr(self._parser, name)

    def _add(self, *_: Any, **__: Any) -> _Built:
        return self


def build_for_runner() -> Any:
    """Return the parser that ansible-runner's main function builds; None where it does not."""
    main: Any = importlib.import_module("ansible_runner.__main__")
    ordinary: type = main.AnsibleRunnerArgumentParser

    class Parser(ordinary):  # type: ignore[misc]
        def parse_args(self, *_: Any, **__: Any) -> Any:
            raise _BuiltError(self)

    main.AnsibleRunnerArgumentParser = Parser
    try:
        main.main(["run"])
    except _BuiltError as built:
        built.parser.__class__ = ordinary
        return built.parser
    finally:
        main.AnsibleRunnerArgumentParser = ordinary
    return None


def hand_out_for_runner(parser: Any) -> None:
    """Have ansible-runner's main function, in this process, take the parser."""
    main: Any = importlib.import_module("ansible_runner.__main__")
    main.AnsibleRunnerArgumentParser = lambda *_, **__: _Built(parser)


def build_for_playbook() -> Any:
    """Return ansible-playbook's parser."""
    command: Any = importlib.import_module("ansible.cli.playbook").PlaybookCLI
    instance = command(["ansible-playbook", "none"])
    instance.init_parser()
    return instance.parser


def hand_out_for_playbook(parser: Any) -> None:
    """Have ansible-playbook, in this process, take the parser."""
    command: Any = importlib.import_module("ansible.cli.playbook").PlaybookCLI

    def init_parser(self: Any, *_: Any, **__: Any) -> None:
        self.parser = parser

    command.init_parser = init_parser
