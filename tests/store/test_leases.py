"""Leases on the database's clock, and two runs at once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from storage.catalog import Catalogue
from tests.store.makers import PARAMETERS, failed, restored, rows, with_photos


def test_a_lease_has_one_holder_until_it_ends(catalogue: Catalogue) -> None:
    """Its own holder may take it again; another's is left alone."""
    assert catalogue.acquire_lease(["x", "y"], holder="a", ttl_s=60) == {"x", "y"}
    assert catalogue.acquire_lease(["y", "z"], holder="b", ttl_s=60) == {"z"}
    assert catalogue.acquire_lease(["x"], holder="a", ttl_s=60) == {"x"}
    assert catalogue.renew_lease(["x", "z"], holder="a", ttl_s=60) == {"x"}
    catalogue.release_lease(["x", "z"], holder="a")
    assert catalogue.acquire_lease(["x", "z"], holder="c", ttl_s=60) == {"x"}
    assert catalogue.release_all_leases(holder="a") == 1
    assert catalogue.acquire_lease(["y"], holder="b", ttl_s=60) == {"y"}


def test_a_lease_that_ran_out_is_taken_over_once(catalogue: Catalogue) -> None:
    """As after a kill."""
    assert catalogue.acquire_lease(["x"], holder="killed", ttl_s=60) == {"x"}
    assert catalogue.acquire_lease(["x"], holder="next", ttl_s=60) == set()
    assert catalogue.renew_lease(["x"], holder="killed", ttl_s=1) == {"x"}
    time.sleep(2.1)
    assert catalogue.acquire_lease(["x"], holder="next", ttl_s=60) == {"x"}
    assert catalogue.renew_lease(["x"], holder="killed", ttl_s=60) == set()


def test_the_holder_of_a_lease_is_told_while_it_holds(catalogue: Catalogue) -> None:
    """So that a second run can say who is at work."""
    assert catalogue.lease_holder("x") is None
    catalogue.acquire_lease(["x"], holder="a", ttl_s=60)
    assert catalogue.lease_holder("x") == "a"
    catalogue.renew_lease(["x"], holder="a", ttl_s=1)
    time.sleep(2.1)
    assert catalogue.lease_holder("x") is None


def test_claimed_work_is_not_claimed_by_another_run_nor_done_work_by_anyone(catalogue: Catalogue) -> None:
    """A list made before another run finished is looked at again under the lease."""
    with_photos(catalogue, "a.jpg", "b.jpg", "c.jpg")
    works = catalogue.photos_to_restore(None, PARAMETERS)
    assert catalogue.claim_work(works[:1], holder="one", ttl_s=60) == works[:1]
    assert catalogue.claim_work(works, holder="two", ttl_s=60) == works[1:]
    catalogue.record_restorations([restored("a.jpg"), failed("b.jpg")])
    catalogue.release_work(works[:1], holder="one")
    catalogue.release_work(works, holder="two")
    assert catalogue.claim_work(works, holder="three", ttl_s=60) == works[1:]


WORKER = """
import sys
from storage.catalog import Catalogue
from tests.store.makers import PARAMETERS, restored
url, holder = sys.argv[1:]
with Catalogue.open(url) as catalogue:
    done = 0
    while works := catalogue.photos_to_restore(None, PARAMETERS, limit=20):
        mine = catalogue.claim_work(works, holder=holder, ttl_s=60)
        done += len(catalogue.record_restorations([restored(work.source_key) for work in mine]))
        catalogue.release_work(mine, holder=holder)
    print(done)
"""


def test_two_processes_at_once_restore_each_photo_once(catalogue: Catalogue, catalogue_url: str) -> None:
    """Real processes on one database: nothing lost, nothing twice, nobody locked out."""
    with_photos(catalogue, *(f"{i}.jpg" for i in range(200)))
    root = Path(__file__).resolve().parents[2]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, catalogue_url, holder], cwd=root, stdout=subprocess.PIPE, text=True
        )
        for holder in ("one", "two")
    ]
    done = [int(worker.communicate(timeout=60)[0]) for worker in workers]
    assert sum(done) == 200
    assert rows(catalogue, "SELECT COUNT(*) FROM restoration") == [(200,)]
    assert rows(catalogue, "SELECT COUNT(*) FROM lease") == [(0,)]
