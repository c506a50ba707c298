// Likes two items and asks for recommendations: `node dist/example.js [URL [KEY]]`.
import { createLikewise } from "./index.js";

const [url = "http://localhost:8080", key] = process.argv.slice(2);
const likewise = createLikewise(url, { readOwnWrites: true, ...(key === undefined ? {} : { key }) });

for (const item_id of ["cat 1", "a/b"]) {
  const liked = await likewise.PUT("/v1/users/{user_id}/likes/{item_id}", {
    params: { path: { user_id: "ann", item_id } },
  });
  if (liked.error) throw new Error(liked.error.detail);
  console.log(JSON.stringify({ did: "like", position: liked.data.position }));
}

const answer = await likewise.GET("/v1/users/{user_id}/recommendations", {
  params: { path: { user_id: "ann" }, query: { count: 5, explain: true } },
});
if (answer.error) throw new Error(answer.error.detail);
const items = answer.data.items.map(({ item_id, because }) => [item_id, because?.[0]?.item_id]);
console.log(JSON.stringify({ did: "ask", source: answer.data.source, items }));

const refused = await likewise.GET("/v1/users/{user_id}/recommendations", {
  params: { path: { user_id: "ann" }, query: { count: 0 } },
});
console.log(JSON.stringify({ did: "refused", code: refused.error?.code, status: refused.response.status }));
