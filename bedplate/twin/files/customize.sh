#!/bin/sh
# Turns the file tree that mmdebstrap made (first argument) into the twin's disk image, kernel and initrd, written
# into the files root.raw, vmlinuz, initrd and packages of the second argument. Runs outside the tree, as root or as
# root of a user name space; third argument: size of the root file system.
set -eu
root=$1 out=$2 size=$3

# A fresh host of a data centre: networkd for its NICs, one administrator with sudo, no password anywhere.
chroot "$root" useradd --create-home --uid 1000 --shell /bin/bash --groups sudo twin
chroot "$root" install -d -m 700 -o twin -g twin /home/twin/.ssh
echo 'twin ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/twin"
chmod 440 "$root/etc/sudoers.d/twin"
chroot "$root" systemctl --quiet enable systemd-networkd.service twin-seed.service
echo 'LABEL=bedplate-root / ext4 defaults,errors=remount-ro 0 1' >"$root/etc/fstab"
: >"$root/etc/machine-id"                 # every machine makes its own
rm -f "$root/var/lib/dbus/machine-id"      # systemd would give all of them the image's
rm -f "$root"/etc/ssh/ssh_host_*          # the seed brings them, so that they are known beforehand
rm -f "$root/etc/hostname"

# What makes an emulated machine slow to boot, or works behind the back of a test.
chroot "$root" systemctl --quiet mask systemd-networkd-wait-online.service apt-daily.timer \
  apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
  man-db.timer serial-getty@ttyS0.service getty@tty1.service systemd-binfmt.service
mkdir -p "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n' >"$root/etc/systemd/journald.conf.d/twin.conf"
# multipath is here for its tools: a daemon that takes every disk would hide them.
printf 'blacklist {\n  devnode ".*"\n}\n' >"$root/etc/multipath.conf"
# What a package starts with settings that no role wants stays off until its role comes.
chroot "$root" systemctl --quiet disable multipathd.service nvmf-autoconnect.service nginx.service rsyslog.service \
  keepalived.service auditd.service haproxy.service
# networkd asks for wireless, which loads the kernel's whole wireless stack.
printf 'blacklist %s\n' cfg80211 pcspkr iTCO_wdt kvm_amd efi_pstore >"$root/etc/modprobe.d/twin.conf"

# The initrd needs to find the system disk, nothing else: a small one boots faster. Hooks of packages that are not
# executable are passed over; without mdadm's the kernel does not measure its RAID 6 routines on every boot.
hooks() {
  find "$root/usr/share/initramfs-tools" -type f \( -name mdadm -o -name lvm2 -o -name bcache -o -name btrfs \
    -o -name dmsetup -o -name xfs -o -name sg3-utils \) -exec chmod "$1" {} +
}
printf 'MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=3\n' >"$root/etc/initramfs-tools/conf.d/twin.conf"
printf '%s\n' virtio_pci virtio_scsi sd_mod ext4 >>"$root/etc/initramfs-tools/modules"
hooks a-x
chroot "$root" update-initramfs -u >/dev/null
hooks a+x

cat "$root"/boot/vmlinuz-* >"$out/vmlinuz"
cat "$root"/boot/initrd.img-* >"$out/initrd"
chroot "$root" dpkg-query -W >"$out/packages"

# mmdebstrap has /proc, /sys and /dev mounted in the tree; a bind mount shows it without them.
view=$(mktemp -d)
mount --bind "$root" "$view"
trap 'umount "$view"; rmdir "$view"' EXIT
mke2fs -q -F -t ext4 -L bedplate-root -m 1 -E lazy_itable_init=0,lazy_journal_init=0 -d "$view" "$out/root.raw" "$size"
