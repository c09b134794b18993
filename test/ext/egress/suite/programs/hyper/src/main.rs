//! Reads an API with hyper, which knows no proxy: `around METHOD URL`.

use http_body_util::{BodyExt, Empty};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(2).ok_or("around METHOD URL")?;
    let connector = HttpsConnectorBuilder::new()
        .with_native_roots()?
        .https_only()
        .enable_http2()
        .build();
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<&[u8]>>(connector);
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let answer = client.get(url.parse()?).await?;
            let version = answer.version();
            let body = answer.into_body().collect().await?.to_bytes();
            println!("{} {version:?}", String::from_utf8_lossy(&body));
            Ok(())
        })
}
