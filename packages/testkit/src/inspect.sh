#!/bin/busybox sh
# The inspecting program of test images: says what a process in a pod sees, and does small things on request.
# Runs inside a pod as the app, on a static busybox alone. Options are handled in the order given, except that
# --pre-sleep comes first and --sleep and --exit-code last. Output forms: contract stage1 12.2.
bb=/bin/busybox
file=$FILE
content=$CONTENT
suffix=
exit_code=0
sleep_s=0

fail() { echo "$1" >&2; exit 254; }

# Error text of the last command as Go words it: `open F: no such file or directory`.
reason() { $bb sed -n '$s/^.*: //p' | $bb tr 'A-Z' 'a-z'; }

status() { $bb sed -n "s/^$1:[[:space:]]*//p" "/proc/${2:-$$}/status"; }

environment() {
  $bb tr '\n\000' '\001\n' < /proc/$$/environ | $bb sed -n "s/^$1=//p" | $bb head -n 1 | $bb tr '\001' '\n'
}

CAPS='chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service
net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin
sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override
mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore'

caps() { # label status-field pid
  bits=0x$(status "$2" "$3")
  list=
  number=0
  for name in $CAPS; do
    state=disabled
    if [ $(( bits >> number & 1 )) = 1 ]; then state=enabled; list="${list:+$list, }$name"; fi
    [ "$number" = "$CAPABILITY" ] && wanted="$name=$state"
    number=$((number + 1))
  done
  echo "Capability set: $1: $list ($suffix)"
}

print_caps() {
  caps effective CapEff "$1"; effective=$wanted
  caps permitted CapPrm "$1"; permitted=$wanted
  caps inheritable CapInh "$1"; inheritable=$wanted
  caps bounding CapBnd "$1"; bounding=$wanted
  [ -z "$CAPABILITY" ] && return
  for each in "$effective" "$permitted" "$inheritable" "$bounding"; do echo "$each ($suffix)"; done
}

go_mode() { # mode in hex
  mode=0x$1
  text=
  case $(( mode & 0170000 )) in
    16384) text=d ;;
    40960) text=L ;;
    24576) text=D ;;
    8192) text=D ;;
    4096) text=p ;;
    49152) text=S ;;
  esac
  [ $(( mode & 04000 )) != 0 ] && text=${text}u
  [ $(( mode & 02000 )) != 0 ] && text=${text}g
  [ $(( mode & 0170000 )) = 8192 ] && text=${text}c
  [ $(( mode & 01000 )) != 0 ] && text=${text}t
  text=${text:--}
  bit=256
  for letter in r w x r w x r w x; do
    if [ $(( mode & bit )) != 0 ]; then text=$text$letter; else text=$text-; fi
    bit=$((bit / 2))
  done
  echo "$text"
}

stat_file() {
  if ! found=$($bb stat -L -c '%f %u %g' "$file" 2>&1); then
    fail "Cannot stat file \"$file\": stat $file: $(echo "$found" | reason)"
  fi
  set -- $found
  echo "$file: mode: $(go_mode "$1")"
  echo "$file: user: $2"
  echo "$file: group: $3"
}

print_groups() {
  groups=$(status Groups)
  gid=$(status Gid); gid=${gid%%	*}
  case " $groups " in
    *" $gid "*) ;;
    *) groups=$(echo "$groups $gid" | $bb tr ' ' '\n' | $bb grep . | $bb sort -n | $bb tr '\n' ' ') ;;
  esac
  echo "Groups: $(echo $groups) "
}

print_user() {
  set -- $(status Uid) $(status Gid)
  echo "User: uid=$1 euid=$2 gid=$5 egid=$6"
}

# Descriptors every child of this process has; the shell's own are closed on exec, and ls opens the directory.
print_fds() {
  $bb ls -l /proc/self/fd | $bb sed -n 's/.* \([0-9]*\) -> \(.*\)/\1 \2/p' | $bb sort -n | {
    list=
    while read -r fd target; do
      case $target in /proc/*/fd) ;; *) list="$list $fd" ;; esac
    done
    echo "Descriptors:$list"
  }
}

print_limit() {
  $bb grep -i "^max $1 " /proc/$$/limits | $bb sed 's/  */ /g;s/ $//;s/^/Limit: /'
}

cgroup_file() { # controller file; seen through PID 1, as the pod's cgroups are not mounted in the app
  at=$($bb sed -n "s/^[0-9]*:\([^:]*,\)*$1\(,[^:]*\)*:\(.*\)/\3/p" /proc/self/cgroup)
  $bb cat "/proc/1/root/sys/fs/cgroup/$1$at/$2"
}

check_cgroups() {
  for each in '' /memory /cpu; do
    at=/proc/1/root/sys/fs/cgroup$each
    $bb mkdir "$at/rkt-inspect" 2>/dev/null && { $bb rmdir "$at/rkt-inspect"; fail "check-cgroups: FAIL $at"; }
  done
  echo 'check-cgroups: SUCCESS'
}

for option in "$@"; do
  case $option in
    --pre-sleep=*) $bb sleep "${option#*=}" ;;
    --suffix-msg=*) suffix=${option#*=} ;;
    --file-name=*) file=${option#*=} ;;
    --content=*) content=${option#*=} ;;
    --exit-code=*) exit_code=${option#*=} ;;
    --sleep=*) sleep_s=${option#*=} ;;
    --silent-sigterm) trap 'exit 0' TERM ;;
    --ignore-sigterm) trap '' TERM ;;
  esac
done

for option in "$@"; do
  value=${option#*=}
  case $option in
    --pre-sleep=* | --suffix-msg=* | --file-name=* | --content=* | --exit-code=* | --sleep=*) ;;
    --silent-sigterm | --ignore-sigterm) ;;
    --print-msg=*)
      echo "$value"
      count=0
      while [ "$count" -lt "${MESSAGE_LOOP:-0}" ]; do $bb sleep 1; echo "$value"; count=$((count + 1)); done ;;
    --print-err=*) echo "$value" >&2 ;;
    --print-no-newline=*) printf %s "$value" ;;
    --print-env=*) echo "$value=$(environment "$value")" ;;
    --print-environ) $bb tr '\000' '\n' < /proc/$$/environ | $bb sort ;;
    --check-path)
      [ "$PATH" = /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin ] || fail "PATH is bad: $PATH"
      echo 'PATH is good' ;;
    --print-exec) echo "inspect exceed as: $0" ;;
    --print-cwd) echo "cwd: $($bb pwd)" ;;
    --print-user) print_user ;;
    --print-groups) print_groups ;;
    --print-caps-pid=*) pid=$value; [ "$pid" = 0 ] && pid=$$; print_caps "$pid" ;;
    --print-ambient) echo "Ambient: $(status CapAmb)" ;;
    --read-file)
      text=$($bb cat "$file" 2>&1 && echo .) || fail "Cannot read file \"$file\": open $file: $(echo "$text" | reason)"
      echo "<<<${text%.}>>>" | $bb sed ':a;N;$!ba;s/\n>>>$/>>>/' ;;
    --write-file)
      error=$( { printf %s "$content" > "$file"; } 2>&1 ) ||
        fail "Cannot write to file \"$file\": open $file: $(echo "$error" | reason)" ;;
    --stat-file) stat_file ;;
    --hash-file) set -- $($bb sha1sum "$file"); echo "sha1sum: $1" ;;
    --file-symlink-target) echo "symlink: \"$file\" -> \"$($bb readlink "$file")\"" ;;
    --list-dir=*) $bb ls -A "$value" | $bb sort ;;
    --read-stdin) echo 'Enter text:'; read -r line; echo "Received text: $line" ;;
    --count-stdin) echo "Received bytes: $($bb wc -c)" ;;
    --check-tty) if [ -t 0 ]; then echo 'stdin is a terminal'; else echo 'stdin is not a terminal'; fi ;;
    --print-memorylimit) echo "Memory Limit: $(cgroup_file memory memory.limit_in_bytes)" ;;
    --print-cpuquota) echo "CPU Quota: $(($(cgroup_file cpu cpu.cfs_quota_us) * 1000 / $(cgroup_file cpu cpu.cfs_period_us)))" ;;
    --print-cpushares) echo "CPU Shares: $(cgroup_file cpu cpu.shares)" ;;
    --print-oom-score-adj) echo "OOM score adjust: $($bb cat /proc/$$/oom_score_adj)" ;;
    --check-cgroups) check_cgroups ;;
    --print-cgroups) $bb cat /proc/$$/cgroup ;;
    --check-mountns)
      [ "$($bb readlink /proc/$$/ns/mnt)" = "$($bb readlink /proc/1/ns/mnt)" ] && fail 'check-mountns: IDENTICAL'
      echo 'check-mountns: DIFFERENT' ;;
    --print-netns) echo "NetNS: $($bb readlink /proc/$$/ns/net)" ;;
    --print-ipcns) echo "IPCNS: $($bb readlink /proc/$$/ns/ipc)" ;;
    --print-pidns) echo "PIDNS: $($bb readlink /proc/$$/ns/pid)" ;;
    --print-iface-count) echo "Interface count: $($bb ls /sys/class/net | $bb wc -l)" ;;
    --print-ipv4=*)
      echo "$value IPv4: $($bb ip -4 -o addr show dev "$value" | $bb sed -n 's/.* inet \([0-9.]*\).*/\1/p' | $bb head -n 1)" ;;
    --print-defaultgwv4) echo "DefaultGWv4: $($bb ip -4 route | $bb sed -n 's/^default via \([0-9.]*\).*/\1/p')" ;;
    --get-http=*) echo "HTTP-Get received: $($bb wget -q -T 30 -O - "$value")" ;;
    --print-hostname) echo "Hostname: $($bb cat /proc/sys/kernel/hostname)" ;;
    --print-no-new-privs) echo "no_new_privs: $(status NoNewPrivs) err: errno 0" ;;
    --print-seccomp) echo "Seccomp: $(status Seccomp)" ;;
    # Those of a child: the shell itself ignores SIGQUIT.
    --print-signals) echo "Signals: blocked=$(status SigBlk self) ignored=$(status SigIgn self)" ;;
    --print-limit=*) print_limit "$value" ;;
    --print-fds) print_fds ;;
    --print-umask) echo "Umask: $(umask)" ;;
    --print-pid) echo "Pid: $$ $PPID" ;;
    --print-threads) echo "Threads: $(status Threads)" ;;
    --check-mknod=*)
      set -- "$value"
      type=${value%%:*}; rest=${value#*:}; major=${rest%%:*}; rest=${rest#*:}; minor=${rest%%:*}; path=${rest#*:}
      error=$($bb mknod "$path" "$type" "$major" "$minor" 2>&1) || fail "mknod $path: fail: $(echo "$error" | reason)"
      echo "mknod $path: succeed" ;;
    --fork-sleep=*) $bb sleep "$value" & ;;
    --kill-self=*) kill -"$value" $$ ;;
    --print-lines=*) $bb seq "$value" ;;
    *) fail "unknown option $option" ;;
  esac
done
# Short naps, so that a trap runs soon after its signal.
while [ "$sleep_s" -gt 0 ]; do $bb sleep 1; sleep_s=$((sleep_s - 1)); done
exit "$exit_code"
