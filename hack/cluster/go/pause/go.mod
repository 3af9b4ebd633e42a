module postgres-operator/cluster/pause

go 1.26
