// SPDX-License-Identifier: BSD-2-Clause
// The first program of the virtual machine, a shell's.

/**
 * Answers are framed by these lines; a command's output has none of them.
 * On the second serial port: a line in, `sh` runs it, its output out, and the end with the exit code.
 */
export const READY = '@vale-ready';
export const ENDED = '@vale-ended';

/** vale.ip=ADDRESS/PREFIX on the kernel's command line is the address of its first interface. */
export const INIT = `#!/bin/sh
export PATH=/bin HOME=/ LD_LIBRARY_PATH=/lib
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
for module in /lib/modules/*.ko; do insmod $module 2>/dev/null; done
echo 1 >/proc/sys/kernel/printk
hostname guest
ip link set lo up
for word in $(cat /proc/cmdline); do
  case $word in
    vale.ip=*) ip link set eth0 up && ip addr add \${word#vale.ip=} dev eth0 ;;
  esac
done
stty -F /dev/ttyS1 raw -echo
exec </dev/ttyS1 >/dev/ttyS1 2>&1
echo ${READY}
while read -r line; do
  (eval "$line") </dev/null
  echo "${ENDED} $?"
done
poweroff -f
`;
