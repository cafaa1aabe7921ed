# SPDX-License-Identifier: Apache-2.0
"""Python loads this module when it starts, if its directory is in PYTHONPATH.

Host names below `localhost` are loopback (RFC 6761 §6.3); platforms differ in whether they resolve them.
"""

import socket

_getaddrinfo = socket.getaddrinfo


def _resolve(host, *rest, **more):
    name = host.decode() if isinstance(host, bytes) else host
    return _getaddrinfo("127.0.0.1" if name and name.endswith(".localhost") else host, *rest, **more)


socket.getaddrinfo = _resolve
