"""A live recommender: start it, ask it, tell it a rating, ask again. `cofactor serve films.cofactor` does the first."""

import json
import queue
import threading
import urllib.request

import cofactor as cf
from cofactor.client import Client
from cofactor.serve import Settings, run

ratings = cf.load_dataset("movietweetings-demo", item="title")
cf.fit(ratings, model="als", seed=0).save("films.cofactor")

addresses: queue.Queue[str] = queue.Queue()
settings = Settings("films.cofactor", port=0)  # any port that is free
threading.Thread(target=run, args=(settings, lambda url, app: addresses.put(url)), daemon=True).start()
url = addresses.get(timeout=120)


def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


history = [{"item": "Inception (2010)", "rating": 9}, {"item": "The Godfather (1972)"}]  # without a rating: liked
for row in ask("/v1/recommend", {"history": history, "n": 3, "interval": 0.9})["recommendations"]:
    print(f"{row['title'] if 'title' in row else row['item']}: {row['low']:.1f} to {row['high']:.1f}, {row['reason']}")

ask("/v1/events", {"events": [{"user": 8, "item": "Inception (2010)", "rating": 2}], "key": "message 17"})
print(ask("/v1/recommend?user=8&n=3")["recommendations"])  # knows it
print(ask("/v1/explain", {"user": 8, "item": "Skyfall (2012)"})["because"])

with Client(url) as films:
    films.tell([(8, "Inception (2010)", 3)])  # or dictionaries: user, item, rating, time
    print(films.recommend(8, n=3))

with Client(url) as films:
    found = films.recommend_list(8, n=3)  # items, version and the id of the request
    items = [row["item"] for row in found["recommendations"]]
    films.feedback([{"what": "shown", "request": found["request"], "version": found["version"], "items": items}])
    films.feedback([{"what": "clicked", "request": found["request"], "item": items[0]}])  # or "bought"
