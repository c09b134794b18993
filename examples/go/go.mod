module nexus.example/agent

go 1.24
