#!/bin/sh
# Boots systemd as PID 1 of namespaces of its own, over the root of this machine, and takes it down whole.
#   sh systemd.sh keep DIR UID    in a mount namespace of its own; prints the pid of systemd before it boots
# It runs while its standard input is open. After that everything goes, DIR too, however the writer ended.
# DIR/share has the same path inside. Everything else that is written inside goes to a tmpfs.
set -eu
dir=$2 uid=$3
# This mount is our own: some machines have none, or have it elsewhere. The hierarchy is the same.
cgroup=$dir/cgroup/${dir##*/}

take_down() {
  # unshare's death is PID 1's (--kill-child), and PID 1's death is everybody's.
  [ -z "${box:-}" ] || { kill -9 "$box" && wait "$box"; } 2>/dev/null || true
  # A cgroup can be removed once its last process is gone. A shell has no event for that.
  tries=0
  while [ -d "$cgroup" ] && [ $tries -lt 1000 ]; do
    find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.01
    tries=$((tries + 1))
  done
  umount "$dir/cgroup" && rm -rf --one-file-system "$dir"
}

keep() {
  mkdir "$dir/cgroup" "$dir/box"
  mount -t cgroup2 none "$dir/cgroup"
  trap take_down EXIT
  mkdir "$cgroup"
  # If even this shell is killed, unshare dies with it.
  setpriv --pdeathsig KILL -- \
    unshare --fork --kill-child --pid --mount --uts --ipc --net -- sh "$0" join "$dir" "$uid" &
  box=$!
  # A failure is the end of this pipe for the reader of the pid.
  exec >/dev/null
  while read -r _; do :; done
}

join() {
  # /proc is still the outer one, so this is the pid that the test sees.
  read -r pid _ </proc/self/stat
  echo 0 >"$cgroup/cgroup.procs"
  # The new cgroup namespace has its root where its first process is, so it comes only now.
  exec unshare --cgroup -- sh "$0" boot "$dir" "$uid" "$pid"
}

mask() {
  for unit; do ln -sf /dev/null "$system/${unit##*/}"; done
}

configure() {
  etc=$root/etc system=$root/etc/systemd/system
  : >"$etc/fstab"
  echo box >"$etc/hostname"
  # Without an ID, systemd takes this for a first boot and enables whatever is installed.
  tr -d - </proc/sys/kernel/random/uuid >"$etc/machine-id"
  # The entry has no x: with one, PAM would look into the shadow file.
  echo "portclear:*:$uid:$uid::/home/portclear:/bin/sh" >>"$etc/passwd"
  echo "portclear:*:$uid:" >>"$etc/group"
  mkdir -p "$root/home/portclear/.config/systemd/user" "$root/var/lib/systemd/linger"
  chown -R "$uid:$uid" "$root/home/portclear"
  # Without lingering, logind may end a user manager that has no session.
  : >"$root/var/lib/systemd/linger/portclear"

  # Nothing starts that is not named here. Some units would do harm: tmpfiles empties /tmp, where the share may lie.
  # sysctl and modules-load change the machine, not the namespaces.
  rm -rf "$system"/*.wants "$system"/*.requires
  for unit in "$root"/usr/lib/systemd/system/*.target.wants/*; do
    case ${unit##*/} in
      systemd-journald.service | systemd-journald.socket | systemd-journald-dev-log.socket) ;;
      dbus.service | dbus.socket | systemd-logind.service | systemd-user-sessions.service) ;;
      *) mask "$unit" ;;
    esac
  done
  mask modprobe@.service systemd-remount-fs.service systemd-udevd.service
  cat >"$system/box.target" <<END
[Unit]
Requires=basic.target dbus.service systemd-logind.service systemd-user-sessions.service user@$uid.service
After=basic.target dbus.service systemd-logind.service systemd-user-sessions.service user@$uid.service
AllowIsolate=yes
END
  ln -sf box.target "$system/default.target"
  for of in system user journald; do mkdir -p "$etc/systemd/$of.conf.d"; done
  printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nAudit=no\n' >"$etc/systemd/journald.conf.d/box.conf"
  # These times are shorter than the patience of the harness, so systemd is the one to say what hangs.
  printf '[Manager]\nDefaultTimeoutStartSec=20s\nDefaultTimeoutStopSec=10s\n' |
    tee "$etc/systemd/system.conf.d/box.conf" >"$etc/systemd/user.conf.d/box.conf"
  # A process may live for a moment only. In a user's unit, the journal often assigns its lines to no unit, or to the
  # wrong one. Only this level tells what was forked for which unit.
  echo LogLevel=debug >>"$etc/systemd/user.conf.d/box.conf"
}

boot() {
  top=$dir/box root=$dir/box/root
  mount -t tmpfs -o mode=755 box "$top"
  mkdir "$top/up" "$top/work" "$root"
  mount -t overlay -o "lowerdir=/,upperdir=$top/up,workdir=$top/work" box "$root"
  configure

  mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
  for file in sys sysrq-trigger; do
    [ -e "$root/proc/$file" ] || continue
    mount --bind "$root/proc/$file" "$root/proc/$file"
    mount -o remount,ro,bind "$root/proc/$file"
  done
  mount -t sysfs -o nosuid,nodev,noexec sysfs "$root/sys"
  mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
  mount -o remount,ro,bind "$root/sys"
  # Programs that are started by hand go here. In the test's own cgroup they could look like a part of some unit.
  mkdir "$root/sys/fs/cgroup/hand"
  for name in dev run tmp; do mount -t tmpfs -o mode=755 "$name" "$root/$name"; done
  chmod 1777 "$root/tmp"
  for name in null zero full random urandom tty; do
    : >"$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
  done
  : >"$root/dev/console"
  mount --bind /dev/null "$root/dev/console"
  mkdir "$root/dev/pts" "$root/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
  mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  for link in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${link%:*}" "$root/dev/${link#*:}"; done
  mkdir -p "$root$dir/share"
  mount --bind "$dir/share" "$root$dir/share"
  # The real OpenClaw, where it is installed.
  if [ -n "$OPENCLAW" ]; then
    mkdir "$root$dir/openclaw"
    mount --bind "$OPENCLAW" "$root$dir/openclaw"
    mount -o remount,bind,ro "$root$dir/openclaw"
  fi
  ip link set lo up

  cd "$root"
  mkdir run/outside
  pivot_root . run/outside
  umount -l /run/outside
  rmdir /run/outside
  echo "$1"
  exec env -i container=box PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    /lib/systemd/systemd --log-target=journal --show-status=no </dev/null >/dev/null 2>&1
}

step=$1
shift 3
"$step" "$@"
