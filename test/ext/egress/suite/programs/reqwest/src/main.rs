use std::io::{Read, Write, stdout};

/// `$1` is the method and `$2` the URL; a POST sends 1 MiB. The version of HTTP stands behind the answer.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [_, method, url] = &std::env::args().collect::<Vec<_>>()[..] else {
        return Err("client METHOD URL".into());
    };
    let client = reqwest::blocking::Client::builder().timeout(None).build()?;
    let body = if method == "POST" { vec![b'x'; 1024 * 1024] } else { vec![] };
    let mut answer = client.request(method.parse()?, url).body(body).send()?;
    let mut part = [0; 65536];
    loop {
        match answer.read(&mut part)? {
            0 => break,
            length => stdout().write_all(&part[..length])?,
        }
        stdout().flush()?;
    }
    print!("{:?}", answer.version());
    Ok(())
}
