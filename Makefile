# Two commands, each complete by itself on a fresh machine with Python 3.10 to 3.13, git and make:
#   make demo    train a small model for about a minute and hear two pieces by it
#   make test    everything but the slow tests
# PYTHON=/path/to/python3 chooses the interpreter for .venv.

.PHONY: help demo test slow check format bench docs constraints notices audit picture release clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    train for about a minute on the starter corpus's chorales, then compose two pieces into generated/"
	@echo "make test    run the tests (make slow: those that train)"
	@echo "make check   ruff and mypy (make format: let ruff format)"
	@echo "make bench   measure speed against peers and the machine's limits (PART=training: one part; DATA=FOLDER)"
	@echo "make docs    write docs/cli.md, the reference of the command line, anew"
	@echo "make constraints resolves the releases that CI installs anew; make notices: the bill of materials and the licences"
	@echo "make audit   looks for known weaknesses of these releases"
	@echo "make picture draws docs/piece.png, the piece in docs/see.md, anew"
	@echo "make release makes the wheel, the sdist and the release's text, in dist/"
	@echo "make clean   delete everything that these made, .venv and .venv-peers too"

CANDIDATES := $(or $(PYTHON),python3.11 python3.12 python3.13 python3.10 python3)

# Each candidate is run: one on the PATH may be a stub, of another version, or without what venv needs.
.venv/.created:
	@set -e; found=; bare=; for python in $(CANDIDATES); do \
	  if "$$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
	    if "$$python" -c 'import ensurepip, venv' 2>/dev/null; then found=$$python; break; else bare=$$python; fi; \
	  fi; \
	done; \
	if [ -n "$$found" ]; then \
	  echo "Creating .venv with $$("$$found" -V)"; "$$found" -m venv .venv; touch $@; \
	elif [ -n "$$bare" ]; then \
	  echo "$$bare cannot create virtual environments: apt install python3-venv, then try again" >&2; exit 1; \
	else \
	  echo "No Python 3.10 to 3.13 found (tried $(CANDIDATES)): install one, or name it with PYTHON=PATH" >&2; \
	  exit 1; \
	fi

.venv/.installed: .venv/.created setup.cfg pyproject.toml
	@echo "Installing melodygru and what it needs into .venv (TensorFlow is large: a few minutes the first time)"
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

# With LOCKED=1, as CI does: the releases of constraints/, each file of which must have one of the hashes there.
.venv/.installed-dev: .venv/.created setup.cfg pyproject.toml $(if $(LOCKED),$(wildcard constraints/*.txt))
	@echo "Installing melodygru and what its tests need into .venv (a few minutes the first time)"
	@set -ex; pip=".venv/bin/python -m pip install --quiet --disable-pip-version-check"; \
	if [ -n "$(LOCKED)" ]; then \
	  version=$$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  $$pip --require-hashes --requirement "constraints/python$$version.txt"; \
	  $$pip --no-deps --no-build-isolation --editable .; \
	else $$pip --editable '.[dev]'; fi
	@touch $@ .venv/.installed

demo: .venv/.installed
	.venv/bin/melodygru train data/starter/chorales --preset small --minutes 1 --seed 1 --output checkpoints/demo.keras --force
	.venv/bin/melodygru generate --model checkpoints/demo.keras -n 2 --bars 16 --seed 1 --wav --png -o generated
	@echo; echo "Two pieces, each as MIDI, WAV and PNG, in $(CURDIR)/generated:"; ls generated

test: .venv/.installed-dev
	.venv/bin/python -m pytest -m "not slow" --durations=10

slow: .venv/.installed-dev
	.venv/bin/python -m pytest -m slow --durations=0

check: .venv/.installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format: .venv/.installed-dev
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

# The peers need an environment of their own: their requirements and ours need not agree. PyTorch comes first and alone
# from its own index: as an extra index, one that can't be reached would be waited for with every package.
PEERS_PIP := .venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --timeout 15 --retries 1
.venv-peers/.installed: .venv/.created benchmarks/peers/requirements.txt
	@echo "Installing the peers, PyTorch among them, into .venv-peers (large: a few minutes the first time)"
	@.venv/bin/python -m venv .venv-peers
	@set -e; torch=$$(grep '^torch==' benchmarks/peers/requirements.txt); \
	  { $(PEERS_PIP) --no-deps --index-url https://download.pytorch.org/whl/cpu "$$torch" && \
	  $(PEERS_PIP) -r benchmarks/peers/requirements.txt; } >.venv-peers/install.log 2>&1
	@touch $@

bench: .venv/.installed
	@$(MAKE) --silent .venv-peers/.installed 2>/dev/null || \
	  echo "The peers could not be installed (.venv-peers/install.log says why): what needs none is measured"
	.venv/bin/python benchmarks/bench.py $(PART) $(if $(DATA),--data $(DATA))

docs: .venv/.installed
	.venv/bin/python docs/make_cli.py

constraints:
	python3 .ci/supply.py constraints

notices: .venv/.installed-dev
	.venv/bin/python .ci/supply.py notices

# Where it can run: it asks a list of known weaknesses, which is elsewhere.
audit: .venv/.installed-dev
	.venv/bin/python -m venv build/audit
	build/audit/bin/pip install --quiet --disable-pip-version-check pip-audit
	build/audit/bin/pip-audit --disable-pip --require-hashes --no-deps -r constraints/python3.11.txt

# One seed, and the model that comes along: the piece changes when that model does.
picture: .venv/.installed
	rm -rf build/picture
	.venv/bin/melodygru generate --model checkpoints/starter.keras --style chorales --form "A4 A4 B8" --seed 1 -o build/picture
	mv build/picture/starter-1-1.mid build/picture/chorale.mid
	.venv/bin/melodygru show build/picture/chorale.mid --png docs/piece.png

# The version is melodygru/version.py's, the text its section of the changelog: see CONTRIBUTING.md.
release: .venv/.installed-dev
	.venv/bin/python .ci/release.py

clean:
	rm -rf .venv .venv-peers build dist generated checkpoints/demo.* melodygru.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
