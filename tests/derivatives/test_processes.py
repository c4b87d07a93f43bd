"""The gradient of a second-order loss on one process and on two."""

import subprocess
import sys

import pytest
import torch

from tests.derivatives.two_processes import all_graphs, gradients


@pytest.mark.slow
def test_a_hessian_loss_has_the_same_gradient_on_two_gloo_processes(repository, tmp_path):
    module = [sys.executable, "-W", "ignore", "-m", "tests.derivatives.two_processes"]
    running = [
        subprocess.Popen([*module, str(rank), "2", str(tmp_path)], cwd=repository, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=240)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], errors
    expected = gradients(all_graphs())
    assert sum(gradient.abs().sum() for gradient in expected.values()) > 0.01
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-10, atol=1e-12)
