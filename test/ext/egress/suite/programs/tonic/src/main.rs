//! Calls an API by gRPC with tonic, which knows no proxy: `tonic-around METHOD URL`, where the path of the URL is that of the RPC.

use std::io::Write;

use bytes::{Buf, BufMut, Bytes};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{ClientTlsConfig, Endpoint};

/// Messages are bytes, so that no service has to be compiled.
#[derive(Default)]
struct Raw;

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let size = from.remaining();
        Ok(Some(from.copy_to_bytes(size)))
    }
}

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url: tonic::codegen::http::Uri = std::env::args().nth(2).ok_or("tonic-around METHOD URL")?.parse()?;
    let path = url.path_and_query().cloned().ok_or("the URL has no path")?;
    let endpoint = Endpoint::from(url).tls_config(ClientTlsConfig::new().with_native_roots())?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let mut client = tonic::client::Grpc::new(endpoint.connect().await?);
            client.ready().await?;
            let request = tonic::Request::new(Bytes::from_static(b"hello"));
            let mut answers = client.server_streaming(request, path, Raw).await?.into_inner();
            while let Some(message) = answers.message().await? {
                print!("{}", String::from_utf8_lossy(&message));
                std::io::stdout().flush()?;
            }
            Ok(())
        })
}
