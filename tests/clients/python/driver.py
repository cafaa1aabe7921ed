# SPDX-License-Identifier: Apache-2.0
"""Lets a test call functions of a package: reads calls as lines of JSON, and answers each with a line of JSON."""

import asyncio
import inspect
import json
import sys

def _seen(error):
    """What an application can read of an exception."""
    seen = {"class": type(error).__name__, "text": str(error)}
    for name in ("code", "error", "error_code", "status_code", "status", "detail", "description", "message"):
        value = getattr(error, name, None)
        if isinstance(value, (str, int)):
            seen[name] = value
    if isinstance(getattr(error, "cause", None), Exception):
        seen["cause"] = _seen(error.cause)
    return seen


def serve(functions):
    """Serves the functions by name until the input ends."""
    named = {function.__name__: function for function in functions}
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            call = json.loads(line)
            try:
                result = named[call["name"]](**call["arguments"])
                if inspect.isawaitable(result):
                    result = runner.run(_finished(result))
                answer = {"result": result}
            except Exception as error:
                answer = {"error": _seen(error)}
            print(json.dumps(answer), flush=True)


async def _finished(awaitable):
    return await awaitable
