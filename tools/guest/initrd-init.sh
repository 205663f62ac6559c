#!/bin/busybox sh
# PID 1 of the initial RAM disk: loads what the root disk and the share need, and becomes the guest's systemd.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
while read -r module; do $b insmod "/modules/$module.ko" || echo "guest: $module does not load"; done </modules/early
$b mount -t ext4 -o noatime /dev/vda /root || $b poweroff -f
$b umount /proc
$b mount --move /dev /root/dev
exec $b switch_root /root /lib/systemd/systemd
