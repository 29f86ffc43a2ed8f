"""What people with a GPU write today: timm with mixed precision and its own loader."""

from __future__ import annotations

import time
from typing import Any

import numpy as np


class TimmSide:
    """One network of timm, in channels_last, on the first GPU (or the CPU, to see it run)."""

    def open(self, name: str, workers: int, batch_size: int) -> None:
        """Build a network with average pooling, random weights."""
        import timm
        import torch

        self._torch = torch
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.backends.cudnn.benchmark = True
        model = timm.create_model(name, pretrained=False, num_classes=0)
        self._config = timm.data.resolve_model_data_config(model)
        self._model = model.eval().to(self._device, memory_format=torch.channels_last)
        self._workers, self._batch_size = workers, batch_size
        self._loaders: dict[str, Any] = {}

    def embed(self, folder: str) -> float:
        """Embed a folder; return seconds.

        The processes of the loader are there from the first call on, and are not counted.
        """
        loader = self._loader(folder)
        start = time.perf_counter()
        rows = [self._compute(pixels) for pixels, _ in loader]
        np.concatenate([row.float().cpu().numpy() for row in rows])
        return time.perf_counter() - start

    def loading(self, folder: str) -> float:
        """Load the pictures alone; return images/s."""
        loader = self._loader(folder)
        start = time.perf_counter()
        count = sum(len(pixels) for pixels, _ in loader)
        return count / (time.perf_counter() - start)

    def network(self, n: int) -> float:
        """Run the network alone, on a batch that is on the device; return images/s."""
        shape = (self._batch_size, *self._config["input_size"])
        pixels = self._torch.rand(shape, device=self._device)
        self._compute(pixels).cpu()
        start = time.perf_counter()
        for _ in range(max(1, n // self._batch_size)):
            rows = self._compute(pixels)
        rows.cpu()
        return max(1, n // self._batch_size) * self._batch_size / (time.perf_counter() - start)

    def _loader(self, folder: str) -> Any:
        if folder not in self._loaders:
            from timm.data import ImageDataset, create_loader

            config = self._config
            self._loaders[folder] = create_loader(
                ImageDataset(folder),
                input_size=config["input_size"],
                batch_size=self._batch_size,
                is_training=False,
                interpolation=config["interpolation"],
                mean=config["mean"],
                std=config["std"],
                crop_pct=config["crop_pct"],
                num_workers=self._workers,
                persistent_workers=self._workers > 0,
                pin_memory=self._device.type == "cuda",
                device=self._device,
            )
        return self._loaders[folder]

    def _compute(self, pixels: Any) -> Any:
        torch = self._torch
        pixels = pixels.to(memory_format=torch.channels_last)
        precision = torch.float16 if self._device.type == "cuda" else torch.bfloat16
        with torch.inference_mode(), torch.autocast(self._device.type, dtype=precision):
            return self._model(pixels)
