"""The training step of the part `training` in PyTorch: the same network, batch, loss and optimiser.

    python benchmarks/peers/training.py BATCH.npz THREADS [cpu|cuda|cuda-half]

Prints one JSON object: seconds a step (median), parameters, nats of the first step.
"""

import json
import statistics
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

WARM_UP, STEPS = 2, 3
N_PITCHES, N_PROGRAMS = 128, 129


class Head(nn.Module):
    """A hidden layer over the features and the bag of what was chosen before, perhaps a second one, then logits."""

    def __init__(self, features, width, classes, rows, deep, drop):
        super().__init__()
        self.hidden = nn.Linear(features, width)
        self.bag = nn.EmbeddingBag(rows, width, mode="sum", padding_idx=0) if rows else None
        self.second = nn.Linear(width, width) if deep else None
        self.output = nn.Linear(width, classes)
        self.dropout = nn.Dropout(drop)

    def forward(self, features, ids):
        hidden = self.hidden(features)
        if self.bag is not None:
            hidden = hidden + self.bag(ids.flatten(0, 1)).view_as(hidden)
        hidden = self.dropout(functional.relu(hidden))
        if self.second is not None:
            hidden = hidden + self.dropout(functional.relu(self.second(hidden)))
        return self.output(hidden)


class Model(nn.Module):
    """The network of `melodygru.model.keras_model`."""

    def __init__(self, about):
        super().__init__()
        embedding, units = about["embedding"], about["units"]
        self.classes = {field: head["classes"] for field, head in about["heads"].items()}
        self.drop_input, self.drop_layer, drop_head = about["drop"]
        self.bag = nn.EmbeddingBag(about["rows"], embedding, mode="sum", padding_idx=0)
        self.layers = nn.ModuleList(
            nn.GRU(units if index else embedding, units, batch_first=True) for index in range(about["layers"])
        )
        self.heads = nn.ModuleDict(
            {
                field: Head(embedding + units, about["head"], head["outputs"], head["rows"], head["deep"], drop_head)
                for field, head in about["heads"].items()
            }
        )

    def embedded(self, ids):
        return self.bag(ids.flatten(0, 1)).view(*ids.shape[:2], -1)

    def forward(self, batch):
        """Nats of the batch."""
        before, context = self.embedded(batch["before"]), self.embedded(batch["context"])
        x = self.embedded(batch["previous"]) + before + context[:, :-1]
        moment = before + context[:, 1:]
        h = variational_dropout(x, self.drop_input)
        for layer in self.layers:
            h = variational_dropout(layer(h)[0], self.drop_layer)
        at_onset = torch.cat([h, moment], -1)
        nats = 0
        for field, head in self.heads.items():
            logits = head(torch.cat([h, x], -1) if field == "shift" else at_onset, batch.get(f"ids_{field}"))
            if field == "part" and "described" in batch:
                logits = parts(logits, batch)
            elif f"pointed_{field}" in batch:
                classes = self.classes[field]
                plain = both_views(logits, batch["last"]) if field == "pitch" else logits[..., :classes]
                logits = plain + pointers(logits, batch[f"pointed_{field}"], classes)
            if f"impossible_{field}" in batch:
                logits = logits.masked_fill(batch[f"impossible_{field}"], -1e9)
            target = batch[f"target_{field}"].flatten()
            nats = nats + functional.cross_entropy(logits.flatten(0, 1), target, ignore_index=-1, reduction="sum")
        return nats


def variational_dropout(values, share):
    """One mask for all steps."""
    kept = values.new_empty(len(values), 1, values.shape[-1]).bernoulli_(1 - share)
    return values * (kept / (1 - share))


def both_views(logits, last):
    """Logits of pitches: their own, and those of the intervals from the last pitch where there is one."""
    place = torch.arange(N_PITCHES, device=last.device) - last[..., None] + N_PITCHES
    relative = logits[..., N_PITCHES:].gather(-1, place.clamp(0, 2 * N_PITCHES - 2))
    return logits[..., :N_PITCHES] + relative * (last[..., None] > 0)


def pointers(logits, pointed, classes):
    """What the last outputs, one a pointer, add to the classes, plus 1, that they point to; 0 is none."""
    added = logits.new_zeros(*logits.shape[:2], classes + 1)
    outputs = logits[..., logits.shape[-1] - pointed.shape[-1] :]
    return added.scatter_add(-1, pointed, outputs)[..., 1:]


def parts(outputs, batch):
    """Logits of END, of a new part of each program, and of each part by its description."""
    to_come, others, described = batch["to_come"], batch["others"], batch["described"]
    new = outputs[..., 1 : 1 + N_PROGRAMS] + to_come * outputs[..., -2:-1] + others * outputs[..., -1:]
    padded = functional.pad(outputs[..., 1 + N_PROGRAMS : -2], (1, 0))
    old = padded.gather(-1, described.flatten(2)).view(described.shape).sum(-1)
    return torch.cat([outputs[..., :1], new, old], -1)


def main(path, threads, where="cpu"):
    device, half = where.split("-")[0], where.endswith("half")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    with np.load(path) as arrays:
        about = json.loads(str(arrays["about"]))
        batch = {name: torch.from_numpy(arrays[name]).to(device) for name in arrays.files if name != "about"}
    model = Model(about).to(device)
    scaler = torch.amp.GradScaler(device, enabled=half)
    parameters = list(model.parameters())
    average = [parameter.detach().clone() for parameter in parameters]
    matrices = [parameter for parameter in parameters if parameter.dim() > 1]
    biases = [parameter for parameter in parameters if parameter.dim() == 1]
    groups = [{"params": matrices, "weight_decay": about["weight_decay"]}, {"params": biases, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=True)
    places = batch["target_pitch"].numel()

    def step():
        optimizer.zero_grad()
        with torch.autocast(device, torch.float16, enabled=half):
            nats = model(batch)
        scaler.scale(nats / places).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(parameters, about["clip"])
        scaler.step(optimizer)
        scaler.update()
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 0.1)
        return nats.item()

    first = step()
    for _ in range(WARM_UP - 1):
        step()
    seconds = []
    for _ in range(STEPS):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    count = sum(parameter.numel() for parameter in parameters)
    print(json.dumps({"seconds": statistics.median(seconds), "parameters": count, "first_nats": first}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
