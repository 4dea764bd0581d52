//! Scripts that share a thread by slices of a few microseconds, some of them killed at any moment:
//! what the others answer is what they answer alone. `STRESS_SECONDS=1800` goes on for so long,
//! `SEED=` draws the same again.

use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::preemption::ENDLESS;
use crate::support::{TestHost, finish, start};
use darter::script::{Engine, Run, Step, set_slice_ns};

const BODIES: &[&str] = &[
    "local t = {} for i = 1, 3000 do t[i] = (i * 7919) % 10007 end table.sort(t) return {t[1], t[1500], t[3000]}",
    "local t = {} for i = 1, 3000 do t[i] = string.format('%d:%s:%.3f', i, 'x', i / 7) end return #table.concat(t, ',')",
    "local n = 0 for w in string.gmatch(string.rep('one two three ', 500), '%a+') do n = n + #w end return n",
    "local s = string.gsub(string.rep('abc', 2000), '.', {a = 'x', b = false, c = 'zz'}) return #s",
    "local c = coroutine.wrap(function() for i = 1, 3000 do coroutine.yield(i) end return 0 end) local n = 0 for i = 1, 3000 do n = n + c() end return n",
    "local n = 0 for i = 1, 2000 do local ok, e = pcall(error, {i}) n = n + e[1] end return n",
    "local m = {__index = function(_, k) return k * 2 end, __add = function(a, b) return 5 end} local n = 0 for i = 1, 3000 do local t = setmetatable({}, m) n = n + t[i] + (t + t) end return n",
    "local n = 0 for i = 1, 2000 do n = n + #redis.call('x', i, i * 2) + tonumber(redis.call('y', i)[2]) end return n",
    "math.randomseed(1) local t = {} for i = 1, 20000 do t['k' .. i % 500] = (t['k' .. i % 500] or 0) + math.random(10) end local n = 0 for _, v in pairs(t) do n = n * 31 % 1000003 + v end return n",
    "local t = {} for i = 1, 500 do t[i] = {id = i, tags = {'a', 'b'}, half = i / 2} end \
     local n = 0 for _, e in ipairs(cjson.decode(cjson.encode(t))) do n = n + e.id + #e.tags + e.half end return n",
    "local t = {} for i = 1, 500 do t[i] = {i, 'x' .. i, i * 1.5} end \
     local n = 0 for _, e in ipairs(cmsgpack.unpack(cmsgpack.pack(t))) do n = n + e[1] + #e[2] + e[3] end return n",
    "local n = 0 for i = 1, 1000 do n = n + struct.unpack('>I4', struct.pack('>I4', i)) + bit.band(i, 255) end return n",
    "local n = 0 for i = 1, 500 do local e = redis.pcall('FAIL', 'x') n = n + #e.err + #redis.sha1hex(i) end return n",
];

/// A number that was given from outside.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// For how long, or for how many rounds.
struct Length {
    until: Option<Instant>,
    rounds: usize,
}

impl Length {
    fn given() -> Length {
        let seconds = number("STRESS_SECONDS");
        Length {
            until: seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds)),
            rounds: 15,
        }
    }

    fn goes_on(&self, round: usize) -> bool {
        match self.until {
            Some(until) => Instant::now() < until,
            None => round < self.rounds,
        }
    }
}

/// Ends a run at any moment, its memory with it, and puts a new one in its place.
fn kill(engine: &mut Engine, random: &mut Rng, runs: &mut [Option<Run>], victim: &mut Option<Run>) {
    match random.usize(..=runs.len()) {
        index if index < runs.len() => {
            if let Some(run) = &mut runs[index] {
                *run = start(engine, BODIES[index]);
            }
        }
        _ => *victim = Some(start(engine, ENDLESS[random.usize(..ENDLESS.len())])),
    }
}

#[test]
fn interleaved_scripts_do_not_disturb_each_other() {
    let seed = number("SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let mut engine = Engine::new().unwrap();
    let mut host = TestHost::default();
    let alone = |body| finish(&mut start(&mut engine, body), &mut host);
    let expected: Vec<String> = BODIES.iter().copied().map(alone).collect();
    let raised = expected.iter().find(|reply| reply.starts_with('-'));
    assert_eq!(raised, None);
    let (mut rounds, mut preemptions, mut kills) = (0, 0u64, 0u64);
    let length = Length::given();
    while length.goes_on(rounds) {
        rounds += 1;
        set_slice_ns(random.u64(10_000..=20_000));
        let mut runs: Vec<_> = BODIES
            .iter()
            .map(|body| Some(start(&mut engine, body)))
            .collect();
        let mut victim = Some(start(&mut engine, ENDLESS[rounds % ENDLESS.len()]));
        for turn in 0.. {
            if runs.iter().all(Option::is_none) {
                break;
            }
            // Later no more, for each of them has to come to its end.
            if turn < 100 && random.u8(..10) == 0 {
                kill(&mut engine, &mut random, &mut runs, &mut victim);
                kills += 1;
            }
            if let Some(victim) = &mut victim {
                victim.resume(&mut host);
            }
            for (index, slot) in runs.iter_mut().enumerate() {
                let Some(run) = slot else { continue };
                match run.resume(&mut host) {
                    Step::Preempted => preemptions += 1,
                    Step::Done => {
                        let reply = finish(run, &mut host);
                        assert_eq!(reply, expected[index], "SEED={seed}: {}", BODIES[index]);
                        *slot = None;
                    }
                    step => panic!("SEED={seed}: {step:?}"),
                }
            }
        }
    }
    println!("{rounds} rounds, {preemptions} pre-emptions, {kills} kills");
    assert!(preemptions > 500, "only {preemptions} pre-emptions");
    assert!(kills > 10, "only {kills} kills");
}
