"""Settings of flows and the command line: storage's, and how to restore and on what.

Read by `StorageSettings.load` from the command line, `OLDPHOTO_*` and `{home}/oldphoto.toml`, in that order.
"""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field, SecretStr

from storage.settings import StorageSettings


class Settings(StorageSettings):
    """What a run needs to know."""

    release: str = Field(
        default="active", description="release to restore with: active, default, a release's name or its folder"
    )
    mode: Literal["full", "scratches"] = Field(default="full", description="full, or only what lies under scratches")
    tone: Literal["correct", "neutral", "keep"] = Field(
        default="correct", description="undo fading and colour casts; neutral makes toned prints grey too; or keep all"
    )
    mending: Literal["sure", "normal", "everything"] = Field(
        default="normal", description="mend what leaves no doubt (sure), what is likely too (normal), or everything"
    )
    strength: float = Field(default=1.0, ge=0, le=1, description="0 gives the master back, 1 the whole restoration")
    output_format: Literal["auto", "tif", "png", "jpg"] = Field(
        default="auto", description="auto: TIFF for a TIFF master, else PNG; jpg loses detail and transparency"
    )

    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="of products; auto: bfloat16 on GPUs and on a CPU that a probe finds faster so"
    )
    tile_px: int | None = Field(default=None, ge=64, description="side of a tile; smaller needs less memory")
    workers: int | None = Field(default=None, ge=1, le=1024, description="Dask workers; by default what fits here")
    scheduler: str | None = Field(default=None, description="a running Dask scheduler, such as tcp://10.0.0.1:8786")
    batch_size: int = Field(default=256, ge=1, le=4096, description="photos that a task restores at most")
    batch_megapixels: float | None = Field(
        default=None, gt=0, description="megapixels after which a task takes no more; by default 8, on GPUs 128"
    )
    lease_s: int = Field(default=60, ge=10, description="how long a dead run keeps its photos from others")
    readers: int | None = Field(default=None, ge=1, le=256, description="threads that read and check masters")
    max_megapixels: float = Field(default=500.0, gt=0, description="larger images are quarantined as bombs")
    tries: int = Field(default=3, ge=1, le=20, description="failed tries after which a photo is set aside")
    store_patience_s: float = Field(default=300.0, ge=0, description="how long a busy store is waited for, a request")
    notify_block: str | None = Field(
        default=None, description="Prefect notification block for the morning summary, such as slack-webhook/archive"
    )
    notify_webhook: SecretStr | None = Field(default=None, description="URL that the morning summary is posted to")
    training_photos: str | None = Field(
        default=None, description="clean photos that training damages and mends: a folder or s3://bucket/prefix"
    )
    training_textures: str | None = Field(
        default=None, description="scratches, dust and papers for training: a folder or s3://; without it all is drawn"
    )
    training_minutes: float = Field(default=120.0, gt=0, description="budget of a whole retraining")
    training_steps: int | None = Field(
        default=None, ge=1, description="budget of a whole retraining in steps, in place of minutes: repeatable"
    )
    training_seed: int | None = Field(
        default=None, ge=0, lt=2**31, description="seed of everything drawn; by default one of each retraining's own"
    )
    training_device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
    training_gpus: int = Field(default=1, ge=1, le=64, description="GPUs of this machine that a stage trains on")
    training_threads: int | None = Field(default=None, ge=1, description="CPU threads of the networks in training")
    training_unlabelled: int = Field(
        default=2000, ge=0, description="photos without a label that a retraining sees at most"
    )
    retrain_after: int = Field(default=25, ge=1, description="new labels that begin a retraining by themselves")
    promotion: Literal["rules", "person"] = Field(
        default="rules", description="who promotes a candidate that passes the rules: they themselves, or a person"
    )
    promotion_auc_drop: float = Field(
        default=0.0, ge=0, le=1, description="how much lower a candidate's detection AUC may be"
    )
    promotion_synthetic_auc_drop: float = Field(
        default=0.01, ge=0, le=1, description="how much lower its AUC on synthetic damage may be"
    )
    promotion_psnr_drop_db: float = Field(
        default=0.1, ge=0, description="how much lower a candidate's PSNR on pairs may be"
    )
    promotion_clean_mean_db: float = Field(
        default=34.0, ge=0, description="PSNR of clean photos that a candidate keeps, their mean"
    )
    promotion_clean_p5_db: float = Field(
        default=30.0, ge=0, description="PSNR of clean photos that a candidate keeps, the worst twentieth"
    )
    promotion_clean_drop_db: float = Field(
        default=0.1, ge=0, description="how much lower these may be where the active release does not reach them either"
    )
    debug: bool = Field(default=False, description="show tracebacks")

    prefect_api_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("prefect_api_url", "PREFECT_API_URL"),
        description="a running Prefect server (PREFECT_API_URL); by default a run starts its own",
    )
