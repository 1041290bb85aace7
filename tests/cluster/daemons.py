"""The daemons of the engines, on the machines of world.py. Each function starts some, and gives another that waits
until they are there.
"""
import os
import shutil
import subprocess

from world import MACHINES, PATIENCE, ROOM, daemon, do, listens, wait_for

SLURM_PORTS = 6817, 6818


def start_sshd():
    """An sshd on each of the two machines, and on head the key to both."""
    os.mkdir("/run/sshd", 0o755)
    home = ROOM / "head/.ssh"
    home.mkdir(0o700)
    do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / "id_ed25519")
    for machine in ("m1", "m2"):
        folder, address = ROOM / machine, MACHINES[machine]
        (folder / ".ssh").mkdir(0o700)
        shutil.copy(home / "id_ed25519.pub", folder / ".ssh/authorized_keys")
        do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key")
        kind, key, *_ = (folder / "host_key.pub").read_text().split()
        with open(home / "known_hosts", "a", encoding="ascii") as known:
            known.write(f"{machine} {kind} {key}\n")
        (folder / "sshd_config").write_text(f"""\
ListenAddress {address}:22
HostKey {folder}/host_key
PidFile none
UsePAM no
UseDNS no
PrintLastLog no
SetEnv PATH={os.environ['PATH']}
""")
        daemon(machine, "/usr/sbin/sshd", "-D", "-e", "-f", folder / "sshd_config")
    return lambda: [wait_for(f"sshd on {machine}", lambda: listens(MACHINES[machine], 22)) for machine in ("m1", "m2")]


def start_slurm():
    """A cluster: its controller on head, its nodes on the two machines."""
    folder = ROOM / "slurm"
    folder.mkdir()
    config, key = folder / "slurm.conf", folder / "munge.key"
    key.write_bytes(os.urandom(64))
    key.chmod(0o600)
    nodes = "".join(f"NodeName={name} NodeAddr={MACHINES[name]} CPUs=2\n" for name in ("m1", "m2"))
    config.write_text(f"""\
ClusterName=test
SlurmctldHost=head({MACHINES['head']})
SlurmctldPort={SLURM_PORTS[0]}
SlurmdPort={SLURM_PORTS[1]}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000
{nodes}PartitionName=all Nodes=ALL Default=YES
""")
    (folder / "cgroup.conf").write_text(f"CgroupPlugin=cgroup/v1\nCgroupMountpoint={folder}/cgroup\n")  # not used
    for name in ("state", "spool-m1", "spool-m2", "cgroup"):
        (folder / name).mkdir()
    os.environ["SLURM_CONF"] = str(config)
    daemon("head", "munged", "--foreground", f"--socket={folder}/munge.socket", f"--key-file={key}",
           f"--pid-file={folder}/munged.pid", f"--seed-file={folder}/munged.seed", f"--log-file={folder}/munged.log")
    wait_for("munged", (folder / "munge.socket").exists)
    daemon("head", "slurmctld", "-D")
    for machine in ("m1", "m2"):
        daemon(machine, "slurmd", "-D")
    return lambda: wait_for("two idle nodes", lambda: idle_nodes() == 2, 0.2)


def idle_nodes():
    if not listens(MACHINES["head"], SLURM_PORTS[0]):
        return 0  # its commands would try for long
    done = subprocess.run(["sinfo", "--noheader", "--Node", "--states=idle"], capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    return len(done.stdout.splitlines())
