package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func main() {
	url, name, small, large := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	ctx, bucket := context.Background(), "uploads"
	cfg := must(config.LoadDefaultConfig(ctx))
	client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.BaseEndpoint, o.UsePathStyle = &url, true })
	for key, file := range map[string]string{"small": small, "whole": large} {
		path := name + "/" + key
		must(client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &path, Body: must(os.Open(file))}))
	}
	parts, whole := name+"/parts", name+"/whole"
	// Not seekable, as the body of a request that comes from elsewhere.
	body := io.MultiReader(must(os.Open(large)))
	must(manager.NewUploader(client).Upload(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &parts, Body: body}))
	got := must(client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &whole}))
	fmt.Printf("%x\n", sha256.Sum256(must(io.ReadAll(got.Body))))
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
