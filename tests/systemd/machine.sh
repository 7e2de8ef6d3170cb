#!/bin/bash
# A machine whose first process is systemd: the packages of this one, which it may change for itself, and everything else of its own.
# Called by systemd_test.sh.
#
#   machine.sh make ROOT     makes its files in ROOT
#   machine.sh boot ROOT     mounts them and becomes systemd; in namespaces of its own alone
set -euo pipefail
command=$1 root=$2

# What looks after hardware, or would change settings of the kernel that all machines share.
masked=(systemd-sysctl.service systemd-modules-load.service systemd-udevd.service systemd-udev-trigger.service
  systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-hwdb-update.service systemd-binfmt.service
  proc-sys-fs-binfmt_misc.automount systemd-random-seed.service systemd-logind.service systemd-networkd.service
  systemd-remount-fs.service systemd-update-utmp.service getty.target)

make() {
  local file unit
  mkdir -p "$root"/{usr,var/lib,run,tmp,proc,sys,dev,root,srv,mnt,changes,etc/docker,etc/alternatives,etc/systemd/system}
  for file in bin sbin lib lib64; do ln -s "usr/$file" "$root/$file"; done
  cp -a /etc/alternatives/. "$root/etc/alternatives/"
  cp /etc/ld.so.cache "$root/etc/"
  cp -a /var/lib/dpkg "$root/var/lib/"
  : >"$root/var/lib/dpkg/statoverride" # of users that this one lacks
  printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\ndocker:x:990:\n' >"$root/etc/group"
  printf 'passwd: files\ngroup: files\nhosts: files\n' >"$root/etc/nsswitch.conf"
  printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
  echo mtp-machine >"$root/etc/hostname"
  tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
  for unit in "${masked[@]}"; do ln -s /dev/null "$root/etc/systemd/system/$unit"; done
}

mount_groups() { # as the machine has them: one tree (v2), or one for each controller (v1)
  local groups=$root/sys/fs/cgroup controller
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -t cgroup2 cgroup2 "$groups"
    return
  fi
  mount -t tmpfs -o mode=755 tmpfs "$groups"
  for controller in /sys/fs/cgroup/*/; do
    controller=$(basename "$controller")
    [ "$(stat --file-system --format %T "/sys/fs/cgroup/$controller")" = cgroupfs ] || continue
    mkdir "$groups/$controller"
    if [ "$controller" = systemd ]; then
      mount -t cgroup -o none,name=systemd cgroup "$groups/systemd"
    else
      mount -t cgroup -o "$controller" cgroup "$groups/$controller"
    fi
  done
}

boot() {
  local device
  mount --make-rprivate /
  mount --bind "$root" "$root"
  mount -t tmpfs tmpfs "$root/changes"
  mkdir "$root"/changes/{usr,work}
  mount -t overlay -o "lowerdir=/usr,upperdir=$root/changes/usr,workdir=$root/changes/work" overlay "$root/usr"
  mount -t tmpfs -o mode=755 tmpfs "$root/run"
  mount -t tmpfs tmpfs "$root/tmp"
  mount -t proc proc "$root/proc"
  mount -t sysfs sysfs "$root/sys"
  mount_groups
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
  done
  : >"$root/dev/console"
  mkdir "$root"/dev/{pts,shm}
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
  mount -t tmpfs tmpfs "$root/dev/shm"
  ip link set lo up
  cd "$root"
  pivot_root . mnt
  umount -l /mnt
  mount --make-rshared /
  export container=namespaces
  exec chroot . /lib/systemd/systemd --system --unit=multi-user.target --log-target=console
}

"$command"
