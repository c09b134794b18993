module nexus.example/agent

go 1.25.0

replace github.com/nexusd/nexusd/clients/go => ../../clients/go

require github.com/nexusd/nexusd/clients/go v1.0.0-rc.1

require (
	golang.org/x/net v0.53.0 // indirect
	golang.org/x/sys v0.43.0 // indirect
	golang.org/x/text v0.36.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260414002931-afd174a4e478 // indirect
	google.golang.org/grpc v1.82.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)
