//! INFO: what clients and dashboards look for, and what only this server has to tell.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clients::SharedClient;
use crate::commands::connection::REDIS_VERSION;
use crate::commands::script_stats::counts_of;
use crate::commands::table;
use crate::memory;
use crate::memory_figures::Figures;
use crate::pubsub::Kind;
use crate::services::Services;
use crate::stats::{HISTOGRAM_BUCKETS, ScriptMode, ThreadStats, bucket_bound_ns};

/// A section: its name in requests, whether INFO without arguments shows it, and its text.
type Section = (&'static str, bool, fn(&Services, &mut Text));

/// Scripts that INFO names: those that took most time.
const SCRIPTS_SHOWN: usize = 10;

const SECTIONS: &[Section] = &[
    ("server", true, server),
    ("clients", true, clients),
    ("memory", true, memory_section),
    ("persistence", true, persistence),
    ("stats", true, stats),
    ("replication", true, replication),
    ("cpu", true, cpu),
    ("transactions", true, transactions),
    ("scripts", true, scripts),
    ("watchdog", true, watchdog),
    ("modules", true, |_, _| {}),
    ("commandstats", false, commandstats),
    ("errorstats", true, errorstats),
    ("latencystats", false, latencystats),
    ("cluster", true, cluster),
    ("keyspace", true, keyspace),
];

/// Lines of `name:value`.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, name: &str, value: impl std::fmt::Display) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{name}:{value}\r\n");
    }
}

/// The sections that are wanted: by name, `default`, `all` or `everything`; none is `default`.
pub fn text(services: &Services, wanted: &[String]) -> String {
    let has = |name: &str| wanted.iter().any(|wanted| wanted == name);
    let shows_all = has("all") || has("everything");
    let shows_default = wanted.is_empty() || has("default");
    let mut text = Text::default();
    for (name, is_default, write_section) in SECTIONS {
        if !(shows_all || has(name) || shows_default && *is_default) {
            continue;
        }
        if !text.0.is_empty() {
            text.0.push_str("\r\n");
        }
        let mut title = (*name).to_owned();
        let capitals = if title == "cpu" { 3 } else { 1 };
        title[..capitals].make_ascii_uppercase();
        // Writing to a string cannot fail.
        let _ = write!(text.0, "# {title}\r\n");
        write_section(services, &mut text);
    }
    text.0
}

fn server(services: &Services, text: &mut Text) {
    let uptime_s = services.started.elapsed().as_secs();
    text.line("redis_version", REDIS_VERSION);
    text.line("darter_version", env!("CARGO_PKG_VERSION"));
    let is_cluster = services.config.startup.emulates_cluster;
    let mode = if is_cluster { "cluster" } else { "standalone" };
    text.line("redis_mode", mode);
    text.line("os", std::env::consts::OS);
    text.line("arch_bits", usize::BITS);
    text.line("monotonic_clock", "POSIX clock_gettime");
    text.line("multiplexing_api", "tokio");
    text.line("process_id", std::process::id());
    text.line("process_supervised", "no");
    text.line("run_id", &services.run_id);
    text.line("tcp_port", services.config.startup.port);
    text.line("server_time_usec", services.store.now_ms() * 1000);
    text.line("uptime_in_seconds", uptime_s);
    text.line("uptime_in_days", uptime_s / 86_400);
    text.line("hz", 10);
    text.line("configured_hz", 10);
    text.line("lru_clock", services.store.now_ms() / 1000 % (1 << 24));
    if let Ok(path) = std::env::current_exe() {
        text.line("executable", path.display());
    }
    text.line("io_threads_active", 0);
    text.line("data_plane_threads", services.config.startup.threads);
}

fn clients(services: &Services, text: &mut Text) {
    let all = services.clients.all();
    let subscribers = all.iter().filter(|client| client.subscriptions() > 0);
    text.line("connected_clients", all.len());
    text.line("cluster_connections", 0);
    text.line(
        "maxclients",
        services.config.max_clients.load(Ordering::Relaxed),
    );
    // Relaxed: a figure of a moment.
    let is_blocked = |client: &Arc<SharedClient>| client.is_blocked.load(Ordering::Relaxed);
    let blocked = all.iter().filter(|client| is_blocked(client)).count();
    text.line("blocked_clients", blocked + services.clients.paused());
    text.line("tracking_clients", 0);
    text.line("pubsub_clients", subscribers.count());
    let (keys, keys_of_groups) = services.waiters.keys();
    text.line("total_blocking_keys", keys);
    text.line("total_blocking_keys_on_nokey", keys_of_groups);
}

/// Bytes as people read them.
pub(crate) fn human(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut value = bytes as f64 / 1024.0;
    for unit in ["K", "M"] {
        if value < 1024.0 {
            return format!("{value:.2}{unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.2}G")
}

fn memory_section(services: &Services, text: &mut Text) {
    let figures = Figures::take(services);
    let Figures {
        used,
        peak,
        resident,
        clients,
        scripts,
        script_bytes,
        code_bytes,
        overhead,
        dataset,
        ..
    } = figures;
    let machine = memory::machine_bytes() as u64;
    let libraries = services.functions.libraries();
    text.line("used_memory", used);
    text.line("used_memory_human", human(used));
    text.line("used_memory_rss", resident);
    text.line("used_memory_rss_human", human(resident));
    text.line("used_memory_peak", peak);
    text.line("used_memory_peak_human", human(peak));
    let percent = |value: f64| format!("{value:.2}%");
    text.line("used_memory_peak_perc", percent(figures.peak_percentage()));
    text.line("used_memory_startup", services.start_bytes);
    text.line("used_memory_overhead", overhead);
    text.line("used_memory_dataset", dataset);
    text.line(
        "used_memory_dataset_perc",
        percent(figures.dataset_percentage()),
    );
    text.line("total_system_memory", machine);
    text.line("total_system_memory_human", human(machine));
    let max = services.config.max_memory_bytes.load(Ordering::Relaxed);
    text.line("maxmemory", max);
    text.line("maxmemory_human", human(max as u64));
    text.line("maxmemory_policy", "noeviction");
    let ratio = figures.fragmentation();
    text.line("mem_fragmentation_ratio", format_args!("{ratio:.2}"));
    let more = resident.cast_signed() - used.cast_signed();
    text.line("mem_fragmentation_bytes", more);
    text.line("mem_allocator", "mimalloc");
    text.line("mem_not_counted_for_evict", 0);
    text.line("mem_clients_normal", clients);
    text.line("mem_clients_slaves", 0);
    text.line("mem_cluster_links", 0);
    text.line("mem_aof_buffer", 0);
    text.line("mem_replication_backlog", 0);
    text.line("mem_total_replication_buffers", 0);
    text.line("active_defrag_running", 0);
    text.line("lazyfree_pending_objects", 0);
    text.line("number_of_cached_scripts", scripts);
    text.line("used_memory_scripts", script_bytes);
    text.line("used_memory_scripts_human", human(script_bytes));
    text.line("number_of_functions", libraries.function_count());
    text.line("number_of_libraries", libraries.len());
    text.line("used_memory_functions", code_bytes);
}

fn persistence(services: &Services, text: &mut Text) {
    text.line("loading", 0);
    text.line("async_loading", 0);
    text.line("current_cow_peak", 0);
    text.line("current_cow_size", 0);
    text.line("current_cow_size_age", 0);
    text.line("current_fork_perc", "0.00");
    text.line("current_save_keys_processed", 0);
    text.line("current_save_keys_total", 0);
    // Nothing has ever been saved.
    text.line(
        "rdb_changes_since_last_save",
        services.store.counts().commits,
    );
    text.line("rdb_bgsave_in_progress", 0);
    // As in a Redis that has never saved anything, here and below.
    text.line("rdb_last_bgsave_status", "ok");
    text.line("rdb_last_bgsave_time_sec", -1);
    text.line("rdb_current_bgsave_time_sec", -1);
    text.line("rdb_saves", 0);
    text.line("rdb_last_cow_size", 0);
    text.line("rdb_last_load_keys_expired", 0);
    text.line("rdb_last_load_keys_loaded", 0);
    text.line("aof_enabled", 0);
    text.line("aof_rewrite_in_progress", 0);
    text.line("aof_rewrite_scheduled", 0);
    text.line("aof_last_rewrite_time_sec", -1);
    text.line("aof_current_rewrite_time_sec", -1);
    text.line("aof_last_bgrewrite_status", "ok");
    text.line("aof_rewrites", 0);
    text.line("aof_rewrites_consecutive_failures", 0);
    text.line("aof_last_write_status", "ok");
    text.line("aof_last_cow_size", 0);
    text.line("module_fork_in_progress", 0);
    text.line("module_fork_last_cow_size", 0);
}

/// What goes to replicas and comes from a master: there are none.
const REPLICATION_TRAFFIC: [(&str, &str); 4] = [
    ("total_net_repl_input_bytes", "0"),
    ("total_net_repl_output_bytes", "0"),
    ("instantaneous_input_repl_kbps", "0.00"),
    ("instantaneous_output_repl_kbps", "0.00"),
];

/// Counts of what does not happen here: MIGRATE, replicas, defragmentation, tracking, threads for input and output.
const NEVER: [&str; 14] = [
    "migrate_cached_sockets",
    "slave_expires_tracked_keys",
    "active_defrag_hits",
    "active_defrag_misses",
    "active_defrag_key_hits",
    "active_defrag_key_misses",
    "total_active_defrag_time",
    "current_active_defrag_time",
    "tracking_total_keys",
    "tracking_total_items",
    "tracking_total_prefixes",
    "unexpected_error_replies",
    "io_threaded_reads_processed",
    "io_threaded_writes_processed",
];

fn stats(services: &Services, text: &mut Text) {
    let stats = &services.stats;
    let own = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let sum = |pick: fn(&ThreadStats) -> &AtomicU64| {
        stats.sum(|thread| pick(thread).load(Ordering::Relaxed))
    };
    let counts = services.store.counts();
    let errors: u64 = stats.errors().values().sum();
    text.line("total_connections_received", own(&stats.connections));
    text.line(
        "total_commands_processed",
        stats.sum(ThreadStats::processed),
    );
    let [operations, input_bytes, output_bytes] = stats.per_second();
    text.line("instantaneous_ops_per_sec", operations);
    text.line("total_net_input_bytes", sum(|thread| &thread.input_bytes));
    text.line("total_net_output_bytes", sum(|thread| &thread.output_bytes));
    let kilobytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1024.0);
    text.line("instantaneous_input_kbps", kilobytes(input_bytes));
    text.line("instantaneous_output_kbps", kilobytes(output_bytes));
    for (name, nothing) in REPLICATION_TRAFFIC {
        text.line(name, nothing);
    }
    text.line("rejected_connections", own(&stats.rejected_connections));
    text.line("expired_keys", counts.expired);
    text.line("evicted_keys", 0);
    text.line("evicted_clients", own(&stats.evicted_clients));
    text.line("evicted_scripts", services.scripts.evicted());
    text.line("keyspace_hits", sum(|thread| &thread.hits));
    text.line("keyspace_misses", sum(|thread| &thread.misses));
    text.line("scan_visited_keys", own(&stats.scan_visited_keys));
    let channels = |kind| services.pubsub.channels(kind, None).len();
    text.line("pubsub_channels", channels(Kind::Channel));
    text.line("pubsubshard_channels", channels(Kind::Shard));
    text.line("pubsub_patterns", services.pubsub.patterns());
    text.line("latest_fork_usec", 0);
    text.line("total_forks", 0);
    text.line("sync_full", 0);
    text.line("sync_partial_ok", 0);
    text.line("sync_partial_err", 0);
    for name in NEVER {
        text.line(name, 0);
    }
    text.line("total_error_replies", errors);
    text.line(
        "client_output_buffer_limit_disconnections",
        own(&stats.output_limit_disconnections),
    );
    text.line("panics", own(&stats.panics));
}

fn replication(_: &Services, text: &mut Text) {
    text.line("role", "master");
    text.line("connected_slaves", 0);
    text.line("master_failover_state", "no-failover");
    text.line("master_repl_offset", 0);
    text.line("second_repl_offset", -1);
    text.line("repl_backlog_active", 0);
    text.line("repl_backlog_first_byte_offset", 0);
    text.line("repl_backlog_histlen", 0);
}

fn cpu(_: &Services, text: &mut Text) {
    let usage = |ticks: Option<&str>| {
        // Ticks of a hundredth of a second, as on every current Linux.
        let ticks = ticks
            .and_then(|ticks| ticks.parse::<f64>().ok())
            .unwrap_or(0.0);
        format!("{:.6}", ticks / 100.0)
    };
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may itself hold spaces.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    text.line("used_cpu_sys", usage(fields.get(12).copied()));
    text.line("used_cpu_user", usage(fields.get(11).copied()));
    text.line("used_cpu_sys_children", usage(fields.get(14).copied()));
    text.line("used_cpu_user_children", usage(fields.get(13).copied()));
}

fn transactions(services: &Services, text: &mut Text) {
    let counts = services.store.counts();
    let (held, oldest_ms) = services.store.snapshots_held();
    text.line("commits", counts.commits);
    text.line("conflicts", counts.conflicts);
    text.line("retries", counts.retries);
    text.line("escalations_to_queue", counts.escalations_queue);
    text.line("escalations_to_gate", counts.escalations_gate);
    text.line("gate_closings", counts.exclusives);
    text.line("gate_waits", counts.gate_waits);
    text.line("snapshots_taken", counts.snapshots);
    text.line("snapshots_held", held);
    text.line("snapshots_ended", counts.snapshots_ended);
    text.line("oldest_snapshot_ms", oldest_ms);
    text.line("kept_bytes", services.store.kept_bytes());
    text.line(
        "versions_live",
        counts.versions_made.saturating_sub(counts.versions_freed),
    );
    text.line("versions_freed", counts.versions_freed);
}

fn scripts(services: &Services, text: &mut Text) {
    for (at, mode) in ScriptMode::ALL.into_iter().enumerate() {
        let sum = |pick: fn(&crate::stats::ScriptCounts) -> &AtomicU64| {
            services
                .stats
                .sum(|thread| pick(&thread.scripts[at]).load(Ordering::Relaxed))
        };
        text.line(
            mode.name(),
            format_args!(
                "runs={},errors={},kills={},limits={},usec={}",
                sum(|counts| &counts.runs),
                sum(|counts| &counts.errors),
                sum(|counts| &counts.kills),
                sum(|counts| &counts.limits),
                sum(|counts| &counts.nanoseconds) / 1000
            ),
        );
    }
    let suspended = services.suspended_scripts.load(Ordering::Relaxed);
    text.line("suspended_scripts", suspended);
    for (sha, counts) in counts_of(services, None).iter().take(SCRIPTS_SHOWN) {
        text.line(
            &format!("script_{}", String::from_utf8_lossy(sha)),
            format_args!(
                "runs={},errors={},kills={},retries={},queued={},gated={},gate_usec={},\
                 preemptions={},usec={},memory_bytes_max={},p50={},p99={},max={}",
                counts.runs,
                counts.errors,
                counts.kills,
                counts.retries,
                counts.queued,
                counts.gated,
                counts.gate_ns / 1000,
                counts.preemptions,
                counts.elapsed_ns / 1000,
                counts.memory_bytes_max,
                counts.latency_us(0.5),
                counts.latency_us(0.99),
                counts.latency_us_max()
            ),
        );
    }
}

fn watchdog(services: &Services, text: &mut Text) {
    let slowest = services.watchdog.slowest();
    text.line("slow_ticks", services.watchdog.slow_ticks());
    text.line("slowest_tick_ms", slowest.elapsed_ms);
    text.line("slowest_tick_command", slowest.what);
}

fn commandstats(services: &Services, text: &mut Text) {
    for entry in table::all() {
        let sum = |pick: fn(&crate::stats::CommandCounts) -> &AtomicU64| {
            services
                .stats
                .sum(|thread| pick(&thread.commands[entry.index]).load(Ordering::Relaxed))
        };
        let calls = sum(|counts| &counts.calls);
        let (rejected, failed) = (sum(|counts| &counts.rejected), sum(|counts| &counts.failed));
        if calls + rejected + failed == 0 {
            continue;
        }
        let usec = sum(|counts| &counts.nanoseconds) / 1000;
        let per_call = usec as f64 / calls.max(1) as f64;
        text.line(
            &format!("cmdstat_{}", entry.full_name()),
            format_args!(
                "calls={calls},usec={usec},usec_per_call={per_call:.2},rejected_calls={rejected},\
                 failed_calls={failed}"
            ),
        );
    }
}

/// What most calls of each command took at most; the calls are counted by classes (`stats`).
fn latencystats(services: &Services, text: &mut Text) {
    let Some(percentiles) = services.config.percentiles() else {
        return;
    };
    for entry in table::all() {
        let (buckets, calls) = services.stats.calls_by_time(entry.index);
        if calls == 0 {
            continue;
        }
        let percentile_us = |hundredths: f64| {
            let wanted = (calls as f64 * hundredths / 100.0).ceil();
            let mut counted = 0;
            let bucket = buckets.iter().position(|count| {
                counted += count;
                counted as f64 >= wanted
            });
            bucket_bound_ns(bucket.unwrap_or(HISTOGRAM_BUCKETS - 1)) as f64 / 1000.0
        };
        let figures = percentiles
            .iter()
            .map(|hundredths| format!("p{hundredths}={:.3}", percentile_us(*hundredths)));
        text.line(
            &format!("latency_percentiles_usec_{}", entry.full_name()),
            figures.collect::<Vec<_>>().join(","),
        );
    }
}

fn errorstats(services: &Services, text: &mut Text) {
    for (code, count) in services.stats.errors() {
        text.line(&format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

fn cluster(services: &Services, text: &mut Text) {
    let is_on = services.config.startup.emulates_cluster;
    text.line("cluster_enabled", u8::from(is_on));
}

fn keyspace(services: &Services, text: &mut Text) {
    for database in 0..services.config.databases() {
        let (keys, volatile) = services.store.key_counts(database);
        if keys > 0 {
            text.line(
                &format!("db{database}"),
                format_args!("keys={keys},expires={volatile},avg_ttl=0"),
            );
        }
    }
}
