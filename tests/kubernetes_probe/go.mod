module bedplate/tests/kubernetes_probe

go 1.26.0
