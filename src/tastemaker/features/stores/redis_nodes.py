"""Sends commands to the nodes of a cluster: to all of them first, and then reads what each says.

The client's own pipeline asks a server for the keys of every script that it sends; here a command says where its key
is. What a node refuses, because a slot has moved or it is down, goes through the client, which finds the slot's node.
"""

from collections.abc import Sequence
from typing import Any

from redis.exceptions import AskError, ConnectionError, MovedError, RedisError, TimeoutError, TryAgainError

__all__ = ["send_to_nodes"]

_ELSEWHERE = (AskError, MovedError, TryAgainError, ConnectionError, TimeoutError)


def send_to_nodes(client: Any, commands: Sequence[Sequence[Any]]) -> list[Any]:
    """The results of commands that name one slot each, errors of the server among them.

    Args:
        client: a ``redis.RedisCluster``.
        commands: the key comes second, or fourth for a script.

    Raises:
        RedisError: the cluster cannot be reached.
    """
    results: list[Any] = [None] * len(commands)
    nodes: dict[str, tuple[Any, list[int]]] = {}
    for index, command in enumerate(commands):
        node = client.get_node_from_key(_key(command))
        nodes.setdefault(node.name, (node, []))[1].append(index)
    sent = [(node, own, _write(client, node, [commands[index] for index in own])) for node, own in nodes.values()]
    for node, own, connection in sent:
        answers = _read(client, node, connection, [commands[index] for index in own])
        for index, answer in zip(own, answers, strict=True):
            results[index] = answer
    for index, result in enumerate(results):
        if isinstance(result, _ELSEWHERE):
            try:
                results[index] = client.execute_command(*commands[index])
            except _ELSEWHERE:
                raise
            except RedisError as error:
                results[index] = error
    return results


def _key(command: Sequence[Any]) -> Any:
    return command[3 if command[0].startswith("EVAL") else 1]


def _write(client: Any, node: Any, commands: Sequence[Sequence[Any]]) -> Any:
    """The connection on which commands are on their way, or why they are not."""
    connection = None
    try:
        pool = client.get_redis_connection(node).connection_pool
        connection = pool.get_connection()
        connection.send_packed_command(connection.pack_commands(commands))
    except (ConnectionError, TimeoutError) as error:
        if connection is not None:
            connection.disconnect()
            pool.release(connection)
        return error
    return connection


def _read(client: Any, node: Any, connection: Any, commands: Sequence[Sequence[Any]]) -> list[Any]:
    if isinstance(connection, Exception):
        return [connection] * len(commands)
    redis_node = client.get_redis_connection(node)
    answers: list[Any] = []
    try:
        for command in commands:
            try:
                answers.append(redis_node.parse_response(connection, command[0]))
            except (ConnectionError, TimeoutError) as error:
                connection.disconnect()
                answers += [error] * (len(commands) - len(answers))
                break
            except RedisError as error:
                answers.append(error)
    except BaseException:
        connection.disconnect()  # what is still unread must not answer the next command
        raise
    finally:
        redis_node.connection_pool.release(connection)
    return answers
