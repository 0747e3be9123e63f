"""Tells a command or a webhook how a run ended; none of them can fail the run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from .night_config import Event, NotifyConfig


def notify(config: NotifyConfig, event: Event, payload: dict[str, Any]) -> list[str]:
    """Calls the hooks of an event.

    Args:
      config: the `notify` section.
      event: what happened.
      payload: JSON; the event is added.

    Returns:
      What went wrong, for people; never more than a warning.
    """
    if event not in config.on:
        return []
    # A path may be no UTF-8.
    body = json.dumps({"event": event, **payload}, ensure_ascii=False).encode("utf-8", "replace")
    faults = []
    if config.command:
        faults.append(_tried(_call, config.command, body, config.timeout_seconds))
    if config.webhook:
        faults.append(_tried(_post, config.webhook, body, config.timeout_seconds))
    return [f"notify: {fault}" for fault in faults if fault]


def _tried(hook: Callable[..., str | None], target: Any, body: bytes, seconds: float) -> str | None:
    """What went wrong with a hook, whatever it was."""
    try:
        return hook(target, body, seconds)
    except Exception as error:
        # Not its message, which may have the address of a webhook.
        return f"a {'webhook' if hook is _post else 'command'} failed: {type(error).__name__}"


def _call(command: list[str], body: bytes, seconds: float) -> str | None:
    """Runs a command with the payload on its standard input."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that what it starts ends with it
        )
    except (OSError, ValueError) as error:
        return f"{command[0]} cannot be started: {error}"
    late, errors = False, b""
    try:
        _, errors = process.communicate(body, timeout=seconds)
    except subprocess.TimeoutExpired:
        late = True
    finally:
        # Whatever it left behind in its group, too; of another user it cannot be stopped.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        for stream in (process.stdin, process.stderr):
            if stream:
                with suppress(OSError):  # what was not read of the payload
                    stream.close()
    if late:
        done = "was" if process.returncode is not None else "could not be"
        return f"{command[0]} had not ended after {seconds:g} s, and {done} stopped"
    if process.returncode:
        said = errors.decode("utf-8", "replace").strip()[-300:]
        return f"{command[0]} ended with code {process.returncode}{f': {said}' if said else ''}"
    return None


class _Stays(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: urllib would go on with a GET, and the payload be lost."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _post(address: str, body: bytes, seconds: float) -> str | None:
    """Sends the payload by POST; only the host of an address is ever told."""
    if address.startswith("$"):
        name = address[1:].strip("{}")
        address = os.environ.get(name, "")
        if not address.startswith(("http://", "https://")):
            return f"expected http://... or https://... in the variable {name} of the environment"
    try:
        host = urlsplit(address).hostname
    except ValueError:  # its message may have the address
        return "expected an address such as https://HOST/PATH, received one that cannot be read"
    faults: list[str | None] = [f"{host} had not answered after {seconds:g} s"]
    opener = urllib.request.build_opener(_Stays)

    def send() -> None:
        try:
            request = urllib.request.Request(
                address, body, {"Content-Type": "application/json; charset=utf-8"}
            )
            with opener.open(request, timeout=seconds) as response:
                response.read(1)
            faults[0] = None
        except urllib.error.HTTPError as error:
            faults[0] = f"{host} answered {error.code}"
            error.close()
        except OSError as error:
            reason = getattr(error, "reason", error)
            faults[0] = f"{host}: {type(error).__name__}: {reason}".replace(address, host or "")
        except Exception as error:  # whatever it is, the run has ended well or not without it
            # What is wrong with an address is told with parts of it.
            faults[0] = f"{host}: {type(error).__name__}"

    # The time limit of urllib is one for each wait, and a server may drip.
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    thread.join(seconds)
    return faults[0]
