# rrdns in a container: docs/container.md tells how to run it, and why with the host's network.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/build.txt requirements/run.txt requirements/
# The environment gets no pip of its own: what runs needs none.
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --require-hashes -r requirements/build.txt \
    && python -m venv --without-pip /opt/rrdns \
    && pip --python /opt/rrdns/bin/python install --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY rrdns rrdns
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && pip --python /opt/rrdns/bin/python install --no-deps --no-index /wheels/*.whl

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="rrdns" \
      org.opencontainers.image.description="Authoritative DNS for the name that Citrix Provisioning targets boot from" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/rrdns /opt/rrdns
COPY conf/entrypoint conf/healthcheck /usr/local/bin/
COPY conf/rrdns.toml /etc/rrdns/rrdns.toml
# A copy of the interpreter may bind ports below 1024 (and nothing else of root's): a capability
# in the file's attributes, since Docker hands none to a process that is not root. The value is
# a vfs_cap_data of version 2, effective, with CAP_NET_BIND_SERVICE (bit 10) permitted, as
# `setcap cap_net_bind_service=ep` writes it; the slim image has no setcap.
RUN groupadd --gid 10001 rrdns \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/rrdns --shell /usr/sbin/nologin rrdns \
    && install -d -o rrdns -g rrdns -m 0750 /var/lib/rrdns \
    && cp --dereference /opt/rrdns/bin/python /opt/rrdns/bin/python-low-ports \
    && chown root:rrdns /opt/rrdns/bin/python-low-ports \
    && chmod 0750 /opt/rrdns/bin/python-low-ports \
    && python -c 'import os, struct; os.setxattr("/opt/rrdns/bin/python-low-ports", "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))'
# RRDNS_URL is where the API listens: the health check and the client verbs (rrdns status) ask there.
ENV PATH=/opt/rrdns/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    RRDNS_URL=http://127.0.0.1:8053
USER 10001:10001
VOLUME /var/lib/rrdns
EXPOSE 53/udp 53/tcp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["healthcheck"]
ENTRYPOINT ["entrypoint"]
CMD ["serve", "--config", "/etc/rrdns/rrdns.toml"]
