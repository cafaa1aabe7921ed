//! Bodies, read up to a limit.

use futures_util::StreamExt as _;
use worker::ByteStream;

/// The whole body, if it ends and has no more than `limit` bytes.
pub async fn read(mut stream: ByteStream, limit: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.ok()?;
        if body.len() + chunk.len() > limit {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}
