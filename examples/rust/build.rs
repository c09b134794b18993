//! Generates the client from proto/: the services, and nexus/rpc and buf/validate, which they import. protox compiles without a `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = "../../proto";
    let files = protox::compile([format!("{proto}/nexus/v1/token.proto")], [proto])?;
    tonic_prost_build::configure()
        .build_server(false)
        .compile_fds(files)?;
    println!("cargo:rerun-if-changed={proto}");
    Ok(())
}
