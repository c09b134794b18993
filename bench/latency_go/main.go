// latency_go SOCKET CONCURRENCY CALLS REQUEST-IN-BASE64: GetToken by a grpc-go client; prints the latencies in microseconds as a JSON
// array. Messages go as their bytes: it is the call that is measured.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	method       = "/nexus.v1.TokenService/GetToken"
	warmUpCalls  = 500
	argumentHint = "usage: latency_go SOCKET CONCURRENCY CALLS REQUEST-IN-BASE64"
)

type bytesCodec struct{}

func (bytesCodec) Name() string                        { return "proto" }
func (bytesCodec) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }
func (bytesCodec) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return errors.New(argumentHint)
	}
	concurrency, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	calls, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	request, err := base64.StdEncoding.DecodeString(args[3])
	if err != nil {
		return err
	}
	connection, err := grpc.NewClient("unix:"+args[0],
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(bytesCodec{})))
	if err != nil {
		return err
	}
	defer connection.Close()
	if _, err := measure(connection, request, concurrency, min(warmUpCalls, calls)); err != nil {
		return err
	}
	taken, err := measure(connection, request, concurrency, calls)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(taken)
}

func measure(connection *grpc.ClientConn, request []byte, concurrency, calls int) ([]float64, error) {
	taken := make([]float64, calls)
	failures := make([]error, concurrency)
	var next atomic.Int64
	var lanes sync.WaitGroup
	for lane := range concurrency {
		lanes.Add(1)
		go func() {
			defer lanes.Done()
			for call := next.Add(1) - 1; call < int64(calls); call = next.Add(1) - 1 {
				var answer []byte
				started := time.Now()
				if err := connection.Invoke(context.Background(), method, &request, &answer); err != nil {
					failures[lane] = err
					return
				}
				taken[call] = float64(time.Since(started).Nanoseconds()) / 1e3
			}
		}()
	}
	lanes.Wait()
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	return taken, nil
}
