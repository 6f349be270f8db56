"""The rehearsal: a real Kubernetes control plane whose nodes are the inventory's hosts, and the real Pulumi
program against it.

``pki`` and ``kubeconfig`` make identities, ``processes`` runs programs, ``control_plane`` puts etcd, API
server, controller manager, scheduler and KWOK together, ``nodes`` and ``stages`` say what KWOK plays,
``program`` runs the Pulumi CLI, ``verdict`` and ``picture`` say what came out, ``rehearsal`` is the order of
all of it.
"""
