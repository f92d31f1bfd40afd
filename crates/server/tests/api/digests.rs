//! What is the same each time: one digest for one seed, however the commands to different machines are interleaved, on whatever
//! store.

use cloudm_domain::Preset;
use serde_json::{Value, json};

use crate::site::{Site, on_every_store};

const MACHINES: usize = 100;
const COMMANDS: usize = 400;
const PHASES: usize = 8;

/// A number below `n` that `seed` stands for.
fn chosen(seed: usize, n: usize) -> usize {
    // The finalizer of splitmix64.
    let mut z = (seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) % n as u64) as usize
}

/// One client's part of a phase, in its order.
async fn commands(site: Site, world: &'static str, ids: Vec<String>, phase: usize, mine: impl Fn(usize) -> bool) {
    const ACTIONS: [&str; 9] = [
        "STOP",
        "START",
        "REBOOT",
        "SUSPEND",
        "RESUME",
        "STOP&force=true",
        "START",
        "RESIZE&machine_type=large",
        "TERMINATE",
    ];
    let size = COMMANDS / PHASES;
    for number in phase * size..(phase + 1) * size {
        let machine = chosen(number, MACHINES);
        if mine(machine) {
            let path = format!("/worlds/{world}/api/v1/machines/{}", ids[machine]);
            let answer = match chosen(number + 7_777, 10) {
                9 => {
                    let tags = json!({"tags": [format!("t{number}")]}).to_string();
                    site.send("PATCH", &path, &[("content-type", "application/json")], tags.as_bytes()).await
                }
                action => site.send("POST", &format!("{path}?action={}", ACTIONS[action]), &[], &[]).await,
            };
            // Refusals are part of it, also by what is forgotten.
            assert!([200, 202, 404, 409].contains(&answer.status), "{answer}");
        }
    }
}

/// Runs the script in a new world, by so many clients, each with machines of its own; returns the digest.
async fn digest(site: &Site, (world, seed): (&'static str, u64), clients: usize) -> Value {
    site.simulate("POST", "/worlds", &json!({"name": world, "seed": seed, "preset": "flaky"})).await.expect(201);
    let headers = [("content-type", "application/json")];
    let web = json!({"name": "web", "region_code": "A"}).to_string();
    site.send("POST", &format!("/worlds/{world}/api/v1/clusters"), &headers, web.as_bytes()).await.expect(201);
    let mut ids = vec![String::new(); MACHINES];
    let order = |number| if clients == 1 { number } else { MACHINES - 1 - number };
    for number in (0..MACHINES).map(order) {
        let body = json!({"name": format!("m-{number}"), "cluster_name": "web"}).to_string();
        let made = site.send("POST", &format!("/worlds/{world}/api/v1/machines"), &headers, body.as_bytes()).await;
        ids[number] = made.expect(201).json()["id"].as_str().unwrap().to_owned();
    }
    for phase in 0..PHASES {
        let parts = (0..clients).map(|client| {
            let mine = move |machine: usize| machine % clients == client;
            actix_web::rt::spawn(commands(site.clone(), world, ids.clone(), phase, mine))
        });
        for part in parts.collect::<Vec<_>>() {
            part.await.unwrap();
        }
        let by = json!({"by": format!("{}s", 1 + chosen(phase, 7_200))});
        site.simulate("POST", &format!("/worlds/{world}/clock/advance"), &by).await.expect(200);
    }
    let digest = site.simulate("GET", &format!("/worlds/{world}/digest"), &Value::Null).await.expect(200).json();
    assert!(digest["events"].as_u64().unwrap() > (MACHINES * 3) as u64, "{digest}");
    digest
}

#[actix_web::test]
pub(crate) async fn one_seed_has_one_digest_and_another_has_another() {
    let first = digest(&Site::memory(Preset::Instant).await, ("a", 42), 1).await;
    on_every_store(Preset::Instant, async |site| {
        assert_eq!(digest(site, ("one", 42), 1).await, first);
        assert_eq!(digest(site, ("sixteen", 42), 16).await, first);
        assert_ne!(digest(site, ("other", 43), 1).await["digest"], first["digest"]);
        // A fork has the digest of what it is a fork of, until one of them goes on.
        site.simulate("POST", "/worlds/one/fork", &json!({"name": "copy"})).await.expect(201);
        let of = async |world: &str| {
            site.simulate("GET", &format!("/worlds/{world}/digest"), &Value::Null).await.expect(200).json()
        };
        assert_eq!(of("copy").await, first);
        site.simulate("POST", "/worlds/copy/clock/advance", &json!({"by": "24h"})).await.expect(200);
        assert_ne!(of("copy").await["digest"], first["digest"]);
        site.simulate("POST", "/worlds/one/clock/advance", &json!({"by": "24h"})).await.expect(200);
        assert_eq!(of("copy").await, of("one").await);
    })
    .await;
}
