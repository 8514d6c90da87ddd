"""Assembling the stages for one endpoint: dialect, encoder, transport and decoder.

Vendors are data here (`catalogue`); the road itself is the same for all of them (`http`).

============= ==================================================================================
module        what it has
============= ==================================================================================
resolve       from a model's name to the deployment that serves it
names         short names of models; `nearest` is for those that nothing fits
catalogue     the vendors, as rows of data; `registry` is what tools ask of them
custom        providers that users add
addresses     where a provider is: what an address leaves open, filled in
fitted        what a row adds to a deployment
idle          what a deployment says of its place and nobody would hear
http          one deployment as a provider: the road from request to chunks
preparer      what goes out, made ready: `prepared` is its head, and `ready` a body of the caller's
answers       what comes back: streams and errors
source        one answer being read: frames and chunks
auth          how a request says who sends it; `auth_chain` with `auth_aws`, `auth_azure`,
              `auth_google`, and `auth_ibm`
headers       what an answer's headers say
blame         what every error is told before it leaves; `redact` keys, `echo` the conversation
capture       a wire that writes what passes to a file
models        the models that one deployment lists, in any vendor's form (`listing`)
knock         whether a provider lets us in
facts         what is known of a model besides its name
============= ==================================================================================
"""
