"""Where a traced function's operations run on a GPU, and which values wait for it: by the kernels of this TensorFlow.

Its Linux package has the GPU's kernels on every machine, so that a graph is judged where there is no GPU.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import kernels, op_def_registry

# Their outputs have a size that only their values tell: whoever needs it waits for the GPU.
SIZED_BY_VALUES = {"Where", "Unique", "UniqueV2", "DynamicPartition", "SparseFillEmptyRows", "NonMaxSuppressionV3"}
# What the runtime itself places: arguments, results, and what is done on neither.
NEITHER = {"Placeholder", "_Arg", "_Retval", "NoOp"}


def operations(function: Any) -> set[str]:
    """Names of all operations of a concrete function, those of the functions it calls included."""
    graph = function.graph.as_graph_def()
    return {node.op for node in graph.node} | {node.op for each in graph.library.function for node in each.node_def}


def host_waits(function: Any) -> list[str]:
    """What of a concrete function keeps a GPU waiting for the host, a line each; empty is what a fast step has.

    Three things do: an operation that has no kernel for GPUs, one whose result has a size that depends on values, and a
    value that the GPU computes and an operation wants in the host's memory. Values that stay in the host's memory all
    along, as sizes do, cost nothing.
    """
    found = []
    for operation in function.graph.get_operations():
        where = f"{operation.type} {operation.name}"
        if operation.type in NEITHER:
            continue
        if operation.type in SIZED_BY_VALUES:
            found.append(f"{where}: the size of its result depends on values")
        if (inputs := _in_host_memory(operation, "input_arg")) is None:
            dtypes = ", ".join(tensor.dtype.name for tensor in (*operation.inputs, *operation.outputs))
            found.append(f"{where}: no kernel for GPUs ({dtypes})")
            continue
        for tensor, on_host in zip(operation.inputs, inputs, strict=True):
            if on_host and tensor.dtype != tf.resource and not _on_host(tensor):
                found.append(f"{where}: waits for {tensor.op.type} {tensor.op.name} ({tensor.dtype.name})")
    return found


def _on_host(tensor: tf.Tensor) -> bool:
    """Whether a tensor lies in the host's memory, where a kernel puts it."""
    if tensor.op.type in NEITHER:  # arguments come from the host
        return True
    outputs = _in_host_memory(tensor.op, "output_arg")
    if outputs is None or outputs[tensor.value_index]:
        return True
    # What only passes through or is known beforehand never was the GPU's.
    return tensor.op.type == "Const"


def _in_host_memory(operation: tf.Operation, side: str) -> list[bool] | None:
    """For each input or output of an operation on a GPU, whether it is in the host's memory; None without a kernel."""
    kernel = next((k for k in _gpu_kernels(operation.type) if _fits(k, operation)), None)
    if kernel is None:
        return None
    places = []
    for argument in getattr(op_def_registry.get(operation.type), side):
        n = 1
        if argument.number_attr:
            n = operation.get_attr(argument.number_attr)
        elif argument.type_list_attr:
            n = len(operation.get_attr(argument.type_list_attr))
        places += [argument.name in kernel.host_memory_arg] * n
    return places


def _fits(kernel: Any, operation: tf.Operation) -> bool:
    """Whether a kernel serves an operation's types."""
    for constraint in kernel.constraint:
        allowed = {tf.dtypes.as_dtype(value) for value in constraint.allowed_values.list.type}
        if not allowed:  # it is about something else
            continue
        asked = operation.get_attr(constraint.name)
        if not set(asked if isinstance(asked, (list, tuple)) else [asked]) <= allowed:
            return False
    return True


@cache
def _gpu_kernels(name: str) -> list[Any]:
    """The kernels of an operation for GPUs, those first that are asked for first."""
    found = [k for k in kernels.get_registered_kernels_for_op(name).kernel if k.device_type in ("GPU", "DEFAULT")]
    return sorted(found, key=lambda kernel: (kernel.device_type != "GPU", -kernel.priority))
