//! apalis with apalis-redis, unchanged: darter-apalis PORT
//!
//! A worker is killed in the middle of its jobs; another one does what is left. Every job is done, and
//! only those that the first had fetched may be done twice.

use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use apalis::prelude::*;
use apalis_redis::{Config, ConnectionManager, RedisStorage};
use redis::AsyncCommands;
use serde::{Deserialize, Serialize};

const JOBS: u64 = 300;
/// Jobs that a worker fetches at once.
const BUFFER: usize = 10;
/// After so many the first worker is killed.
const KILLED_AFTER: u64 = 60;
const DONE: &str = "done";

#[derive(Debug, Deserialize, Serialize)]
struct Job {
    number: u64,
}

async fn work(job: Job, connection: Data<ConnectionManager>) -> Result<(), Error> {
    let mut connection = (*connection).clone();
    let times: u64 = connection
        .hincr(DONE, job.number, 1)
        .await
        .expect("a reply");
    assert!(times > 0);
    Ok(())
}

async fn storage(port: &str) -> (RedisStorage<Job>, ConnectionManager) {
    let url = format!("redis://127.0.0.1:{port}");
    let connection = apalis_redis::connect(url).await.expect("a server");
    let config = Config::default()
        .set_poll_interval(Duration::from_millis(10))
        .set_buffer_size(BUFFER);
    let storage = RedisStorage::new_with_config(connection.clone(), config);
    (storage, connection)
}

async fn run_worker(port: &str, name: &str) {
    let (storage, connection) = storage(port).await;
    let worker = WorkerBuilder::new(name)
        .data(connection)
        .backend(storage)
        .build_fn(work);
    worker.run().await;
}

fn spawn_worker(port: &str, name: &str) -> std::process::Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args([port, name])
        .stdin(Stdio::null())
        .spawn()
        .expect("a process")
}

async fn wait_for(connection: &mut ConnectionManager, count: u64) {
    loop {
        let done: u64 = connection.hlen(DONE).await.expect("a reply");
        if done >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &*arguments {
        [port, name] => {
            run_worker(port, name).await;
            return ExitCode::SUCCESS;
        }
        [port] => {
            let (mut storage, mut connection) = storage(port).await;
            for number in 0..JOBS {
                storage.push(Job { number }).await.expect("pushed");
            }
            let mut first = spawn_worker(port, "first");
            wait_for(&mut connection, KILLED_AFTER).await;
            first.kill().expect("it runs");
            first.wait().expect("it has ended");
            let mut second = spawn_worker(port, "second");
            wait_for(&mut connection, JOBS).await;
            // The last jobs are acknowledged, and none comes back.
            let mut left = storage.len().await.expect("a count");
            while left > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
                left = storage.len().await.expect("a count");
            }
            second.kill().expect("it runs");
            second.wait().expect("it has ended");
            let times: Vec<u64> = connection.hvals(DONE).await.expect("a reply");
            let twice = times.iter().filter(|times| **times > 1).count();
            let most = times.iter().max().copied().unwrap_or(0);
            println!("apalis: {JOBS} jobs, {twice} of them twice after their worker was killed");
            if times.len() as u64 != JOBS || twice > 2 * BUFFER || most > 2 {
                return ExitCode::FAILURE;
            }
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}
