#!/bin/busybox sh
# The first process of the machine: mounts what coral looks at, runs the tests, switches off.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
echo "machine: up with Linux $(uname -r)"
coral doctor
old_kernel --ignored --test-threads=1
echo "machine: tests ended with status $?"
poweroff -f
